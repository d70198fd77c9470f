#include "td_fixedpoint.h"
#include "td_mul.h"

static void mul_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_mul *p = params;
  for (int32_t i = 0; i < p->operands.row; ++i) {
    const int32_t product =
        (a[i * p->operands.step0] - p->zero0) * (b[i * p->operands.step1] - p->zero1);
    const int32_t scaled = td_requantize(product, p->multiplier, p->shift);
    out[i] = td_offset_and_clamp(scaled, p->zero_point, p->low, p->high);
  }
}

void td_s8_mul__scalar(const td_mul *p, const void *const *inputs, int8_t *out, void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, mul_row);
}
