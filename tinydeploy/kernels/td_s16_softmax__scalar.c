#include "td_fixedpoint.h"
#include "td_softmax.h"

/* A curve at x, any int16. */
static inline int32_t at(const int16_t *curve, int32_t x) {
  const int16_t *piece = curve + (256 + (x >> 7));
  return piece[0] + (((piece[1] - piece[0]) * (x & 0x7f) + 64) >> 7);
}

static inline int32_t saturate(int32_t x) { return x < -32768 ? -32768 : x > 32767 ? 32767 : x; }

static void softmax_row(const td_softmax_s16 *p, const int16_t *in, int16_t *out) {
  int32_t max = in[0], sum = 0; /* Q16.15 */
  for (uint32_t i = 1; i < p->depth; ++i) {
    if (in[i] > max) max = in[i];
  }
  for (uint32_t i = 0; i < p->depth; ++i) {
    const int32_t steps = td_requantize(in[i] - max, p->multiplier, p->shift);
    const int32_t e = at(p->exps, saturate(steps + 32767));
    out[i] = (int16_t)e;
    sum += e;
  }
  /* sum = 2^(16 - zeros) * (1 + x), 0 <= x < 1; the maximum alone is 1, so zeros <= 17 */
  const int32_t zeros = __builtin_clz((uint32_t)sum);
  const int32_t mantissa = (int32_t)((((uint32_t)sum << (zeros - 1)) + (1u << 13)) >> 14);
  const int32_t inverse = at(p->inverses, saturate(mantissa - (1 << 16) - (1 << 15)));
  const int32_t shift = 31 - zeros;
  for (uint32_t i = 0; i < p->depth; ++i) {
    const int32_t y = (out[i] * inverse + (1 << (shift - 1))) >> shift;
    out[i] = (int16_t)(y > 32767 ? 32767 : y);
  }
}

void td_s16_softmax__scalar(const td_softmax_s16 *p, const int16_t *in, int16_t *out,
                            void *scratch) {
  (void)scratch;
  for (uint32_t row = p->rows; row > 0; --row, in += p->depth, out += p->depth) {
    softmax_row(p, in, out);
  }
}
