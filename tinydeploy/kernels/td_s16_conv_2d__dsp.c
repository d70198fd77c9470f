#include "td_conv_16x8_loop.h"
#include "td_simd.h"

static inline void dot(const int16_t *from, const int8_t *weights, int32_t count, int64_t *sums) {
  while (count > 0) {
    const int32_t run = count < TD_RUN_16X8 ? count : TD_RUN_16X8;
    int32_t acc[4] = {0};
    for (const int16_t *end = from + run; from != end; from += 4) {
      uint32_t low, high;
      memcpy(&low, from, 4);
      memcpy(&high, from + 2, 4);
      for (int32_t i = 0; i < 4; ++i, weights += 4) {
        const uint32_t w = td_load4(weights);
        acc[i] = td_dot2(td_even_bytes(w), low, acc[i]);
        acc[i] = td_dot2(td_odd_bytes(w), high, acc[i]);
      }
    }
    for (int32_t i = 0; i < 4; ++i) sums[i] += acc[i];
    count -= run;
  }
}

void td_s16_conv_2d__dsp(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  td_conv_16x8_all(p, in, out, scratch, (patch + 3) & ~3, dot);
}
