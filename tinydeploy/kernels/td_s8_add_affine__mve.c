#include <arm_mve.h>

#include "td_add.h"

static void add_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_add_affine *p = params;
  __asm__ volatile(
      "wlstp.32 lr, %[row], 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [%[a]], #4\n\t"
      "vmlas.s32 q0, %q[multiplier0], %[offset]\n\t"
      "vldrb.s32 q1, [%[b]], #4\n\t"
      "vmla.s32 q0, q1, %[multiplier1]\n\t"
      "vshl.s32 q0, %[left]\n\t"
      "vmax.s32 q0, q0, %q[low]\n\t"
      "vmin.s32 q0, q0, %q[high]\n\t"
      "vstrb.32 q0, [%[out]], #4\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [a] "+l"(a), [b] "+l"(b), [out] "+l"(out)
      : [multiplier0] "w"(vdupq_n_s32(p->multiplier0)), [multiplier1] "r"(p->multiplier1),
        [offset] "r"(p->offset), [left] "r"(-p->shift), [low] "w"(vdupq_n_s32(p->low)),
        [high] "w"(vdupq_n_s32(p->high)), [row] "r"(p->operands.row)
      : "lr", "q0", "q1", "memory");
}

void td_s8_add_affine__mve(const td_add_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, add_row);
}
