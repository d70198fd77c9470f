#include "td_add.h"
#include "td_fixedpoint.h"

static inline int32_t rescale(const td_add_operand *p, int32_t x) {
  const int32_t raised = (x - p->zero_point) * (1 << 20);
  return p->sign * td_requantize(raised, p->multiplier, p->shift);
}

static void add_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_add *p = params;
  for (int32_t i = 0; i < p->operands.row; ++i) {
    const int32_t sum = rescale(&p->first, a[i * p->operands.step0]) +
                        rescale(&p->second, b[i * p->operands.step1]);
    const int32_t scaled = td_requantize(sum, p->multiplier, p->shift);
    out[i] = td_offset_and_clamp(scaled, p->zero_point, p->low, p->high);
  }
}

void td_s8_add__scalar(const td_add *p, const void *const *inputs, int8_t *out, void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, add_row);
}
