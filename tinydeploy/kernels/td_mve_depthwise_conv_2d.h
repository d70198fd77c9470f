/* DEPTHWISE_CONV_2D with Helium, any window, for int8, or for int16 where TD_ELEMENT and
 * TD_MVE_16X8 say so. */
#ifndef TD_MVE_DEPTHWISE_CONV_2D_H
#define TD_MVE_DEPTHWISE_CONV_2D_H

#include <arm_mve.h>

#include "td_depthwise_conv_2d.h"
#include "td_mve.h"
#include "td_taps.h"

#ifdef TD_MVE_16X8
#define TD_MVE_LOAD "vldrht.u16 q0, [%[tap]]\n\t"
#define TD_MVE_STORE_EIGHT "vstrht.16 q4, [%[out]], #16\n\t"
#else
#define TD_MVE_LOAD "vldrbt.s16 q0, [%[tap]]\n\t"
#define TD_MVE_STORE_EIGHT "vstrbt.16 q4, [%[out]], #8\n\t"
#endif
#define TD_MVE_SCALE_EIGHT              \
  "vldrw.u32 q0, [%[requant]], #16\n\t" \
  "vqrdmlash.s32 q4, q0, %[zero]\n\t"   \
  "vldrw.u32 q0, [%[requant]], #16\n\t" \
  "vqrdmlash.s32 q5, q0, %[zero]\n\t"

/* All channels of a window, by eights: q4 has the sums of the even and q5 of the odd ones. A
 * function of its own, because it needs nearly all registers. */
static __attribute__((noinline)) void td_mve_window(const td_depthwise_conv_2d *p, const td_taps *t,
                                                    td_element *out) {
  const int8_t *weights = p->weights;
  const int32_t *requant = p->requant;
  const intptr_t *offset = t->offsets;
  uintptr_t origin = t->origin, tap;
  int32_t left = p->in_c;
  const int32_t taps = p->kernel_h * p->kernel_w, zero = p->out_zero_point;
  __asm__ volatile(
      "1:\n\t"
      "vctp.16 %[left]\n\t"
      "vldrw.u32 q4, [%[requant]], #16\n\t"
      "vldrw.u32 q5, [%[requant]], #16\n\t"
      "dls lr, %[taps]\n"
      "2:\n\t"
      "ldr %[tap], [%[offset]], #4\n\t"
      "add %[tap], %[tap], %[origin]\n\t"
      "vpst\n\t" TD_MVE_LOAD
      "vldrb.s16 q1, [%[weights]], #8\n\t"
      "vmullb.s16 q2, q0, q1\n\t"
      "vmullt.s16 q3, q0, q1\n\t"
      "vadd.i32 q4, q4, q2\n\t"
      "vadd.i32 q5, q5, q3\n\t"
      "le lr, 2b\n\t"
      "sub %[offset], %[offset], %[taps], lsl #2\n\t"
      "vldrw.u32 q0, [%[requant]], #16\n\t"
      "vqrdmulh.s32 q4, q4, q0\n\t"
      "vldrw.u32 q0, [%[requant]], #16\n\t"
      "vqrdmulh.s32 q5, q5, q0\n\t" TD_MVE_AWAY("q4", "q1") TD_MVE_AWAY("q5", "q1")
 TD_MVE_SCALE(TD_MVE_SCALE_EIGHT)
      "add %[origin], %[origin], %[eight]\n\t"
      "vqmovnb.s32 q4, q4\n\t"
      "vqmovnt.s32 q4, q5\n\t"
      "vmax.s16 q4, q4, %q[low]\n\t"
      "vmin.s16 q4, q4, %q[high]\n\t"
      "vpst\n\t" TD_MVE_STORE_EIGHT
      "subs %[left], %[left], #8\n\t"
      "bgt 1b\n\t"
      : [left] "+r"(left), [weights] "+l"(weights), [requant] "+r"(requant), [origin] "+r"(origin),
        [out] "+l"(out), [offset] "+r"(offset), [tap] "=&l"(tap)
      : [taps] "r"(taps),
        [zero] "r"(zero), [eight] "i"(8 * sizeof(td_element)),
        [low] "w"(vdupq_n_s16((int16_t)p->low)), [high] "w"(vdupq_n_s16((int16_t)p->high))
      : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "cc", "memory");
}

static inline void td_mve_depthwise_conv_2d(const td_depthwise_conv_2d *p, const td_element *in,
                                            td_element *out, void *scratch) {
  td_taps t = td_taps_init(p, scratch);
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x, out += p->out_c) {
        td_taps_move(p, &t, (const int8_t *)in, y, x);
        td_mve_window(p, &t, out);
      }
    }
  }
}

#endif
