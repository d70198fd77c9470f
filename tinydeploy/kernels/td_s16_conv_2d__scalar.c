#include "td_conv_16x8_loop.h"

static inline void dot(const int16_t *from, const int8_t *weights, int32_t count, int64_t *sums) {
  while (count > 0) {
    const int32_t run = count < TD_RUN_16X8 ? count : TD_RUN_16X8;
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (const int16_t *end = from + run; from != end; weights += 4) {
      const int32_t x = *from++;
      a += x * weights[0];
      b += x * weights[1];
      c += x * weights[2];
      d += x * weights[3];
    }
    sums[0] += a;
    sums[1] += b;
    sums[2] += c;
    sums[3] += d;
    count -= run;
  }
}

void td_s16_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  td_conv_16x8_all(p, in, out, scratch, patch, dot);
}
