#include "td_add.h"

/* floor(x m / 2^8) in 32 bits, from the halves of m: the upper one's product is a multiple. */
static inline int32_t scale(int32_t x, int32_t upper, int32_t lower) {
  return x * upper * (1 << 8) + ((x * lower) >> 8);
}

static void add_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_add_affine *p = params;
  const int32_t step0 = p->operands.step0, step1 = p->operands.step1;
  const int32_t upper0 = p->multiplier0 >> 16, lower0 = p->multiplier0 & 0xffff;
  const int32_t upper1 = p->multiplier1 >> 16, lower1 = p->multiplier1 & 0xffff;
  const int32_t offset = p->offset, shift = p->shift, low = p->low, high = p->high;
  for (const int8_t *end = out + p->operands.row; out != end; ++out) {
    int32_t value = (scale(*a, upper0, lower0) + scale(*b, upper1, lower1) + offset) >> shift;
    if (value < low) value = low;
    if (value > high) value = high;
    *out = (int8_t)value;
    a += step0;
    b += step1;
  }
}

void td_s8_add_affine__scalar(const td_add_affine *p, const void *const *inputs, int8_t *out,
                              void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, add_row);
}
