#include "td_conv_16x8_loop.h"

static void channels(const td_conv_16x8 *p, const int16_t *from, int32_t packed,
                     const int8_t *weights, int32_t channel, int16_t *out) {
  const td_record_16x8 *record = (const td_record_16x8 *)p->requant + channel;
  const int16_t *const end = from + packed;
  for (int32_t left = p->out_c / p->groups; left > 0; left -= 4) {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    for (const int16_t *x = from; x != end; ++x, weights += 4) {
      a += (uint32_t)(*x * weights[0]);
      b += (uint32_t)(*x * weights[1]);
      c += (uint32_t)(*x * weights[2]);
      d += (uint32_t)(*x * weights[3]);
    }
    const uint32_t sums[4] = {a, b, c, d};
    for (int32_t i = 0; i < 4 && i < left; ++i) {
      *out++ = td_clamp_16(td_finish_16x8(record++, sums[i]), p->low, p->high);
    }
  }
}

void td_s16_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  td_conv_16x8_all(p, in, out, scratch, patch, channels);
}
