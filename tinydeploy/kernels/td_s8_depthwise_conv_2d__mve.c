#include <arm_mve.h>

#include "td_depthwise_conv_2d.h"
#include "td_taps.h"

/* Eight channels of a window, even and odd ones apart: 2 x 4 sums. */
static inline int16x8_t eight_channels(const td_depthwise_conv_2d *p, const td_taps *t, int32_t c,
                                       mve_pred16_t lanes) {
  const int32_t taps = p->kernel_h * p->kernel_w;
  const int8_t *weights = p->weights + taps * c;
  const int32_t *requant = p->requant + 3 * c;
  const uintptr_t origin = t->origin + (uintptr_t)c;
  int32x4_t even = vld1q_s32(requant), odd = vld1q_s32(requant + 4);
  for (int32_t i = 0; i < taps; ++i) {
    const int16x8_t x = vldrbq_z_s16(td_tap(origin, t->offsets[i]), lanes);
    const int16x8_t w = vldrbq_s16(weights + 8 * i);
    even = vaddq_s32(even, vmullbq_int_s16(x, w));
    odd = vaddq_s32(odd, vmulltq_int_s16(x, w));
  }
  even = vqrdmulhq_s32(even, vld1q_s32(requant + 8));
  odd = vqrdmulhq_s32(odd, vld1q_s32(requant + 12));
  even = vqrdmlashq_n_s32(even, vld1q_s32(requant + 16), p->out_zero_point);
  odd = vqrdmlashq_n_s32(odd, vld1q_s32(requant + 20), p->out_zero_point);
  return vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
}

void td_s8_depthwise_conv_2d__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch) {
  const int16x8_t low = vdupq_n_s16((int16_t)p->low), high = vdupq_n_s16((int16_t)p->high);
  td_taps t = td_taps_init(p, scratch);
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x, out += p->out_c) {
        td_taps_move(p, &t, in, y, x);
        for (int32_t c = 0; c < p->in_c; c += 8) {
          const mve_pred16_t lanes = vctp16q((uint32_t)(p->in_c - c));
          const int16x8_t values = eight_channels(p, &t, c, lanes);
          vstrbq_p_s16(out + c, vminq_s16(vmaxq_s16(values, low), high), lanes);
        }
      }
    }
  }
}
