#include <arm_mve.h>

#include "td_softmax.h"

static inline int32_t largest(const int8_t *row, uint32_t depth) {
  int32_t max = -128;
  __asm__ volatile(
      "wlstp.8 lr, %[depth], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[row]], #16\n\t"
      "vmaxv.s8 %[max], q0\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [row] "+r"(row), [max] "+r"(max)
      : [depth] "r"(depth)
      : "lr", "q0", "memory");
  return max;
}

/* Of the exponentials, in Q12.19. */
static inline uint32_t sum_of(const td_softmax *p, const int8_t *row, int32x4_t max) {
  register uint32_t sum __asm__("r0") = 0;
  __asm__ volatile(
      "wlstp.32 lr, %[depth], 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [%[row]], #4\n\t"
      "vsub.i32 q0, %q[max], q0\n\t"
      "vpttt.s32 lt, q0, %[exp_count]\n\t"
      "vldrwt.u32 q1, [%[exps], q0, uxtw #2]\n\t"
      "vrshrt.u32 q1, q1, #12\n\t"
      "vaddvat.u32 %[sum], q1\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [row] "+l"(row), [sum] "+r"(sum)
      : [depth] "r"(p->depth), [max] "w"(max), [exps] "r"(p->exps), [exp_count] "r"(p->exp_count)
      : "lr", "q0", "q1", "cc", "memory");
  return sum;
}

/* What is loaded under a predicate is 0 elsewhere. */
static inline void shares(const td_softmax *p, const int8_t *row, int32x4_t max, uint32_t sum,
                          int8_t *out) {
  const int32_t zeros = __builtin_clz(sum);
  const int32_t reciprocal = td_one_over_one_plus((sum << zeros) - 0x80000000u);
  __asm__ volatile(
      "wlstp.32 lr, %[depth], 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [%[row]], #4\n\t"
      "vsub.i32 q0, %q[max], q0\n\t"
      "vpt.s32 lt, q0, %[exp_count]\n\t"
      "vldrwt.u32 q1, [%[exps], q0, uxtw #2]\n\t"
      "vqrdmulh.s32 q1, q1, %[reciprocal]\n\t"
      "vrshl.s32 q1, %[shift]\n\t"
      "vadd.i32 q1, q1, %[lowest]\n\t"
      "vmin.s32 q1, q1, %q[highest]\n\t"
      "vstrb.32 q1, [%[out]], #4\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [row] "+l"(row), [out] "+l"(out)
      : [depth] "r"(p->depth), [max] "w"(max), [exps] "r"(p->exps), [exp_count] "r"(p->exp_count),
        [reciprocal] "r"(reciprocal), [shift] "r"(zeros - 35), [lowest] "r"(-128),
        [highest] "w"(vdupq_n_s32(127))
      : "lr", "q0", "q1", "cc", "memory");
}

void td_s8_softmax__mve(const td_softmax *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  for (uint32_t row = p->rows; row > 0; --row, in += p->depth, out += p->depth) {
    const int32x4_t max = vdupq_n_s32(largest(in, p->depth));
    shares(p, in, max, sum_of(p, in, max), out);
  }
}
