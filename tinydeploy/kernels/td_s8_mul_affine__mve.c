#include <arm_mve.h>

#include "td_mul.h"

static void mul_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_mul_affine *p = params;
  __asm__ volatile(
      "wlstp.32 lr, %[row], 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [%[a]], #4\n\t"
      "vadd.i32 q0, q0, %[minus0]\n\t"
      "vldrb.s32 q1, [%[b]], #4\n\t"
      "vadd.i32 q1, q1, %[minus1]\n\t"
      "vmul.i32 q0, q0, q1\n\t"
      "vshl.i32 q0, q0, #15\n\t"
      "vmulh.s32 q0, q0, %q[multiplier]\n\t"
      "vadd.i32 q0, q0, %[offset]\n\t"
      "vshl.s32 q0, %[left]\n\t"
      "vmax.s32 q0, q0, %q[low]\n\t"
      "vmin.s32 q0, q0, %q[high]\n\t"
      "vstrb.32 q0, [%[out]], #4\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [a] "+l"(a), [b] "+l"(b), [out] "+l"(out)
      : [multiplier] "w"(vdupq_n_s32(p->multiplier)), [minus0] "r"(-p->zero0),
        [minus1] "r"(-p->zero1), [offset] "r"(p->offset), [left] "r"(-p->shift),
        [low] "w"(vdupq_n_s32(p->low)), [high] "w"(vdupq_n_s32(p->high)), [row] "r"(p->operands.row)
      : "lr", "q0", "q1", "memory");
}

void td_s8_mul_affine__mve(const td_mul_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, mul_row);
}
