#include <arm_mve.h>

#include "td_lut.h"

void td_s8_clamp__mve(const td_limits *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[in]], #16\n\t"
      "vmax.s8 q0, q0, %q[low]\n\t"
      "vmin.s8 q0, q0, %q[high]\n\t"
      "vstrb.8 q0, [%[out]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [in] "+r"(in), [out] "+r"(out)
      : [count] "r"(p->count), [low] "w"(vdupq_n_s8((int8_t)p->low)),
        [high] "w"(vdupq_n_s8((int8_t)p->high))
      : "lr", "q0", "memory");
}
