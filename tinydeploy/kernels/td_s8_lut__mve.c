#include <arm_mve.h>

#include "td_lut.h"

void td_s8_lut__mve(const td_lut *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[in]], #16\n\t"
      "vldrb.u8 q1, [%[table], q0]\n\t"
      "vstrb.8 q1, [%[out]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [in] "+r"(in), [out] "+r"(out)
      : [table] "r"(p->table), [count] "r"(p->count)
      : "lr", "q0", "q1", "memory");
}
