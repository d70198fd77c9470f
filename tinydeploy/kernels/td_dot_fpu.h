/* Inner products of td_dot.h whose weights stay in the floating-point unit's registers for all
 * pixels: pairs of up to TD_FPU_WORDS words. */
#ifndef TD_DOT_FPU_H
#define TD_DOT_FPU_H

enum { TD_FPU_WORDS = 16 };

/* r0 walks over `spread`; r1 to r4 are four pixels, r5 both channels' weights and then those of a;
 * r6 to r9 are the sums of both channels, r10, r11, r12 and lr those of a.
 * s0 to s15: weights, if fewer the last of them; s16 to s23: the pair's record; s24: where outputs
 * go; s25: `row`; s26: `spread_end`; s27: where the first word is multiplied.
 * From label 1 on the code is to stay in a cache of 1 KB. */
#define TD_WORD(weights)            \
  "vmov r5, " weights               \
  "\n\t"                            \
  "ldmia r0!, {r1, r2, r3, r4}\n\t" \
  "smlad r6, r1, r5, r6\n\t"        \
  "smlad r7, r2, r5, r7\n\t"        \
  "smlad r8, r3, r5, r8\n\t"        \
  "smlad r9, r4, r5, r9\n\t"        \
  "sxtb16 r5, r5\n\t"               \
  "smlad r10, r1, r5, r10\n\t"      \
  "smlad r11, r2, r5, r11\n\t"      \
  "smlad r12, r3, r5, r12\n\t"      \
  "smlad lr, r4, r5, lr\n\t"
#define TD_LOAD(weights) "vldmia r2!, {" weights "}\n\t"
#define TD_16(WORD) \
  WORD("s0")        \
  WORD("s1")        \
  WORD("s2")        \
  WORD("s3")        \
  WORD("s4")        \
  WORD("s5")        \
  WORD("s6")        \
  WORD("s7")        \
  WORD("s8")        \
  WORD("s9") WORD("s10") WORD("s11") WORD("s12") WORD("s13") WORD("s14") WORD("s15")

#define TD_RUN(name, FINISH, FINISH_UPPER)                                                         \
  static inline void name(const td_pixels *pixels) {                                               \
    register const td_pixels *r0 __asm__("r0") = pixels;                                           \
    __asm__ volatile(                                                                            \
        "sub sp, sp, #16\n\t"                                                                    \
        "str r0, [sp, #4]\n\t"                                                                   \
        "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8}\n\t"                                         \
        "vmov s24, s25, r4, r5\n\t"                                                              \
        "vmov s26, r8\n\t"                                                                       \
        "sub r4, r2, r6\n\t"                                                                     \
        "and r4, r4, #60\n\t" /* 4 * words that are left out */                                  \
        "movs r5, #21\n\t"                                                                       \
        "muls r5, r4, r5\n\t"                                                                    \
        "adr.w r1, 3f + 1\n\t"                                                                   \
        "add r1, r1, r5, lsr #1\n\t"                                                             \
        "vmov s27, r1\n\t"                                                                       \
        "adr.w r1, 7f + 1\n\t"                                                                   \
        "add r1, r1, r4\n\t"                                                                     \
        "str r1, [sp]\n\t"                                                                       \
        "b 1f\n\t"                                                                               \
        ".p2align 5\n"                                                                           \
        "1:\n\t" /* a pair */                                                                    \
        "vldmia r3!, {s16-s23}\n\t"                                                              \
        "str r3, [sp, #8]\n\t"                                                                   \
        "ldr r0, [r0]\n\t"                                                                       \
        "ldr pc, [sp]\n"                                                                         \
        "7:\n\t" TD_16(TD_LOAD)                                                                  \
        "str r2, [sp, #12]\n"                                                                    \
        "2:\n\t" /* four pixels */                                                               \
        "vmov r5, s27\n\t"                                                                       \
        "vmov r6, r10, s16, s17\n\t"                                                             \
        "mov r7, r6\n\t"                                                                         \
        "mov r8, r6\n\t"                                                                         \
        "mov r9, r6\n\t"                                                                         \
        "mov r11, r10\n\t"                                                                       \
        "mov r12, r10\n\t"                                                                       \
        "mov lr, r10\n\t"                                                                        \
        "bx r5\n"                                                                                \
        "3:\n\t" TD_16(TD_WORD)                                                                  \
        "sub r6, r6, r10\n\t"                                                                    \
        "sub r7, r7, r11\n\t"                                                                    \
        "sub r8, r8, r12\n\t"                                                                    \
        "sub r9, r9, lr\n\t"                                                                     \
        "vmov r1, r2, s18, s19\n\t"                                                              \
        "vmov r3, s20\n\t" FINISH("r10", "r10", "r1", "r2", "r3")                                \
            FINISH("r11", "r11", "r1", "r2", "r3") FINISH("r12", "r12", "r1", "r2", "r3")        \
                FINISH("lr", "lr", "r1", "r2", "r3")                                             \
        "vmov r1, r2, s21, s22\n\t"                                                              \
        "movs r4, #64\n\t" FINISH_UPPER("r6", "r1", "r2", "r3", "r4")                            \
            FINISH_UPPER("r7", "r1", "r2", "r3", "r4") FINISH_UPPER("r8", "r1", "r2", "r3", "r4") \
                FINISH_UPPER("r9", "r1", "r2", "r3", "r4")                                       \
        "bfi r10, r6, #8, #8\n\t"                                                                \
        "bfi r11, r7, #8, #8\n\t"                                                                \
        "bfi r12, r8, #8, #8\n\t"                                                                \
        "bfi lr, r9, #8, #8\n\t"                                                                 \
        "vmov r1, r2, s24, s25\n\t"                                                              \
        "vmov r3, s26\n\t"                                                                       \
        "strh r10, [r1]\n\t"                                                                     \
        "strh r11, [r1, r2]\n\t"                                                                 \
        "add r1, r1, r2, lsl #1\n\t"                                                             \
        "strh r12, [r1]\n\t"                                                                     \
        "strh lr, [r1, r2]\n\t"                                                                  \
        "add r1, r1, r2, lsl #1\n\t"                                                             \
        "vmov s24, r1\n\t"                                                                       \
        "cmp r0, r3\n\t"                                                                         \
        "bne.w 2b\n\t"                                                                           \
        "ldrd r0, r3, [sp, #4]\n\t"                                                                  \
        "ldr r2, [sp, #12]\n\t"                                                                  \
        "ldrd r4, r5, [r0, #32]\n\t"                                                             \
        "add r1, r1, r4\n\t"                                                                     \
        "vmov s24, r1\n\t"                                                                       \
        "cmp r3, r5\n\t"                                                                         \
        "bne.w 1b\n\t"                                                                           \
        "add sp, sp, #16\n\t"                                                                    \
        : "+r"(r0)                                                                               \
        :                                                                                        \
        : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", \
          "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",    \
          "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23",    \
          "s24", "s25", "s26", "s27"); \
  }

TD_RUN(td_run_few_words, TD_FINISH, TD_FINISH_UPPER)
/* The same for an output zero point of -128. */
TD_RUN(td_run_few_words_above, TD_FINISH_ABOVE, TD_FINISH_UPPER_ABOVE)

#undef TD_RUN
#undef TD_16
#undef TD_LOAD
#undef TD_WORD

#endif
