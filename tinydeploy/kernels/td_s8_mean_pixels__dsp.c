#include "td_fixedpoint.h"
#include "td_mean.h"
#include "td_pixel_sums.h"

static inline int8_t mean(const td_mean_pixels *p, int32_t sum) {
  const int32_t scaled = td_requantize(sum + p->offset, p->multiplier, p->shift);
  return td_offset_and_clamp(scaled, p->zero_point, -128, 127);
}

void td_s8_mean_pixels__dsp(const td_mean_pixels *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n, in += p->pixels * p->channels) {
    int32_t c = 0;
    for (; c + 8 <= p->channels; c += 8, out += 8) {
      const td_pixel_sums sums = td_sum_pixels(in + c, 1, p->pixels, 0, p->channels);
      for (int32_t i = 0; i < 8; ++i) out[i] = mean(p, td_pixel_sum(&sums, i));
    }
    for (; c < p->channels; ++c) {
      int32_t sum = 0;
      for (int32_t i = 0; i < p->pixels; ++i) sum += in[i * p->channels + c];
      *out++ = mean(p, sum);
    }
  }
}
