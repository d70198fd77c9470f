#include "td_conv_16x8_loop.h"

static int64_t dot(const int16_t *from, const int8_t *weights, int32_t count) {
  int64_t sum = 0;
  while (count > 0) {
    const int32_t run = count < TD_RUN_16X8 ? count : TD_RUN_16X8;
    int32_t part = 0;
    for (const int16_t *end = from + run; from != end; weights += 4) part += *from++ * *weights;
    sum += part;
    count -= run;
  }
  return sum;
}

static void channels(const td_conv_16x8 *p, const int16_t *from, int32_t packed,
                     const int8_t *weights, int32_t channel, int16_t *out) {
  const td_wide_record_16x8 *record = (const td_wide_record_16x8 *)p->requant + channel;
  for (int32_t o = 0; o < p->out_c / p->groups; ++o) {
    const int64_t sum = dot(from, weights + o / 4 * 4 * packed + o % 4, packed);
    *out++ = td_clamp_16(td_finish_wide_16x8(record++, sum), p->low, p->high);
  }
}

void td_s16_conv_2d_wide__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                 void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  td_conv_16x8_all(p, in, out, scratch, patch, channels);
}
