#include <arm_mve.h>

#include "td_lut.h"

void td_s8_flip__mve(const td_flip *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[in]], #16\n\t"
      "veor q0, q0, %q[sign]\n\t"
      "vstrb.8 q0, [%[out]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [in] "+r"(in), [out] "+r"(out)
      : [count] "r"(p->count), [sign] "w"(vdupq_n_u8(0x80))
      : "lr", "q0", "memory");
}
