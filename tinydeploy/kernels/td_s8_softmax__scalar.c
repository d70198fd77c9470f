#include "td_softmax.h"

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
    const int32_t reciprocal = td_one_over_one_plus((sum << zeros) - 0x80000000u);
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
