#include "td_fixedpoint.h"
#include "td_softmax.h"

/* 1 / (1 + x), 0 <= x < 1, Q0.31 to Q0.31, by Newton and Raphson's division. The estimate y of
 * 2 / (1 + x) starts as 48/17 - 32/17 * (1 + x) / 2, in Q2.29. */
static int32_t one_over_one_plus(uint32_t x) {
  const int32_t half = (int32_t)((x + 0x80000000u) >> 1);
  int32_t y = 1515870810 + td_multiply_high(-1010580540, half);
  for (int i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - td_multiply_high(half, y);
    y += td_multiply_high(error, y) * 4;
  }
  /* Read as Q1.30 it is 1 / (1 + x); only 1 itself is too large for Q0.31. */
  return y >= 1 << 30 ? INT32_MAX : y * 2;
}

static inline int32_t largest(const int8_t *row, uint32_t depth) {
  int32_t max = row[0];
  for (uint32_t i = 1; i < depth; ++i) {
    if (row[i] > max) max = row[i];
  }
  return max;
}

void td_s8_softmax__scalar(const td_softmax *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  const int32_t *const exps = p->exps;
  const int32_t exp_count = p->exp_count;
  const uint32_t depth = p->depth;
  for (uint32_t row = p->rows; row > 0; --row) {
    const int32_t max = largest(in, depth);
    uint32_t sum = 0; /* Q12.19 */
    for (uint32_t i = 0; i < depth; ++i) {
      const int32_t distance = max - in[i];
      if (distance < exp_count) sum += ((uint32_t)exps[distance] + (1u << 11)) >> 12;
    }
    /* sum = 2^(31 - zeros - 19) * (1 + x): the maximum alone is 1, so zeros <= 12 */
    const uint32_t zeros = (uint32_t)__builtin_clz(sum);
    const int32_t reciprocal = one_over_one_plus((sum << zeros) - 0x80000000u);
    const uint32_t shift = 35 - zeros;
    for (uint32_t i = 0; i < depth; ++i) {
      const int32_t distance = max - in[i];
      uint32_t y = 0;
      /* With a shift of 32 and more every share is below one half. */
      if (distance < exp_count && shift < 32) {
        const uint32_t share = (uint32_t)td_multiply_high(exps[distance], reciprocal);
        y = (share + (1u << (shift - 1))) >> shift;
        if (y > 255) y = 255;
      }
      out[i] = (int8_t)((int32_t)y - 128);
    }
    in += depth;
    out += depth;
  }
}
