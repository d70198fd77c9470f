/* td_run_pairs of td_dot.h with the floating-point unit's registers, and fours of channels. */
#ifndef TD_DOT_FPU_H
#define TD_DOT_FPU_H

#include "td_dot.h"

/* Whether fours of channels are faster than pairs, whose weights do not stay in the cache of a
 * flash. */
static inline int32_t td_runs_fours(int32_t words, int32_t pixels) {
  return words > 48 && pixels >= 12;
}

#ifdef TD_HAS_DSP

/* Pairs whose weights stay in registers for all pixels; where they are more than 1 + WORDS, those
 * behind the first ones come in their place, for each four pixels again.
 * r0 walks over `spread`; r1 to r4 are four pixels, r5 both channels' weights and then those of a;
 * r6 to r9 are the sums of both channels, r10, r11, r12 and lr those of a.
 * s0: the first word of weights; s1 on: the others, the first of them to the end; s17 to s24: the
 * pair's record; s25: where outputs go; s26: `row`; s27: `spread_end`.
 * On the stack: where the others are loaded, `pixels`, the next record, the others of the pair,
 * their end, those that come next, where to go from the first word, from the start of a pair, and
 * when the others are loaded; bytes of weights. From label 1 on the code, and a line before it, is
 * to stay in a cache of 1 KB. */
#define TD_WORD(i)                  \
  "vmov r5, s" #i                   \
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
#define TD_13(WORD) \
  WORD(1)           \
  WORD(2)           \
  WORD(3) WORD(4) WORD(5) WORD(6) WORD(7) WORD(8) WORD(9) WORD(10) WORD(11) WORD(12) WORD(13)
#define TD_15(WORD) TD_13(WORD) WORD(14) WORD(15)
/* From any of them to the last one: six bytes of code each. */
#define TD_TO_14(i) "vldmia r2!, {s" #i "-s14}\n\tb 9f\n\t"
#define TD_TO_16(i) "vldmia r2!, {s" #i "-s16}\n\tb 9f\n\t"

#define TD_FINISH_4(FINISH, first, second, third, fourth) \
  FINISH(first, first, "r1", "r2", "r3")                  \
  FINISH(second, second, "r1", "r2", "r3")                \
  FINISH(third, third, "r1", "r2", "r3")                  \
  FINISH(fourth, fourth, "r1", "r2", "r3")
#define TD_UPPER_4(FINISH, first, second, third, fourth) \
  FINISH(first, "r1", "r2", "r3", "r4")                  \
  FINISH(second, "r1", "r2", "r3", "r4")                 \
  FINISH(third, "r1", "r2", "r3", "r4")                  \
  FINISH(fourth, "r1", "r2", "r3", "r4")

#define TD_RUN(name, WORDS, TO, last, FINISH, FINISH_UPPER)                                         \
  static inline void name(const td_pixels *pixels) {                                                \
    register const td_pixels *r0 __asm__("r0") = pixels;                                            \
    __asm__ volatile(                                                                             \
        "sub sp, sp, #40\n\t"                                                                     \
        "str r0, [sp, #4]\n\t"                                                                    \
        "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8}\n\t"                                          \
        "str r6, [sp, #16]\n\t"                                                                   \
        "vmov s25, s26, r4, r5\n\t"                                                               \
        "vmov s27, r8\n\t"                                                                        \
        "subs r4, r6, r2\n\t"                                                                     \
        "str r4, [sp, #36]\n\t"                                                                   \
        "movs r5, #6\n\t"                                                                         \
        "muls r5, r7, r5\n\t"                                                                     \
        "rsb r7, r5, r5, lsl #3\n\t" /* 42 bytes of code are a word, 6 a load */                  \
        "adr.w r1, 8f + 1\n\t"                                                                    \
        "add r1, r1, r5\n\t"                                                                      \
        "str r1, [sp]\n\t"                                                                        \
        "adr.w r5, 3f + 1\n\t"                                                                    \
        "add r5, r5, r7\n\t"                                                                      \
        "adr.w r6, 5f + 1\n\t"                                                                    \
        "adr.w r7, 2f + 1\n\t"                                                                    \
        "cmp r4, #4 * (1 + " #last ")\n\t"                                                        \
        "itee ls\n\t"                                                                             \
        "strdls r5, r6, [sp, #24]\n\t"                                                            \
        "strdhi r6, r7, [sp, #24]\n\t"                                                            \
        "movhi r7, r5\n\t"                                                                        \
        "str r7, [sp, #32]\n\t"                                                                   \
        "b 1f\n\t"                                                                                \
        ".p2align 5\n"                                                                            \
        "8:\n\t" WORDS(TO) "vldmia r2!, {s" #last "}\n\t" "b 9f\n\t"                              \
        ".p2align 5\n"                                                                            \
        "1:\n\t" /* a pair */                                                                     \
        "vldmia r3!, {s17-s24}\n\t"                                                               \
        "vldmia r2!, {s0}\n\t"                                                                    \
        "str r3, [sp, #8]\n\t"                                                                    \
        "str r2, [sp, #12]\n\t"                                                                   \
        "ldr r0, [r0]\n\t"                                                                        \
        "ldr pc, [sp, #28]\n"                                                                     \
        "5:\n\t"                                                                                  \
        "ldr r2, [sp, #12]\n\t"                                                                   \
        "ldr r1, [sp, #16]\n\t"                                                                   \
        "ldr pc, [sp]\n"                                                                          \
        "9:\n\t"                                                                                  \
        "str r2, [sp, #20]\n\t"                                                                   \
        "cmp r1, r2\n\t"                                                                          \
        "ldr pc, [sp, #32]\n"                                                                     \
        "4:\n\t" /* more words */                                                                 \
        "ldr r2, [sp, #20]\n\t"                                                                   \
        "ldr r1, [sp, #16]\n\t"                                                                   \
        "vldmia r2!, {s1-s" #last "}\n\t"                                                         \
        "str r2, [sp, #20]\n\t"                                                                   \
        "cmp r1, r2\n"                                                                            \
        "3:\n\t" WORDS(TD_WORD) TD_WORD(last)                                                     \
        "bhi.w 4b\n\t" /* as compared above, or the pixels below: not HI */                       \
        "sub r6, r6, r10\n\t"                                                                     \
        "sub r7, r7, r11\n\t"                                                                     \
        "sub r8, r8, r12\n\t"                                                                     \
        "sub r9, r9, lr\n\t"                                                                      \
        "vmov r1, r2, s19, s20\n\t"                                                               \
        "vmov r3, s21\n\t"                                                                        \
        TD_FINISH_4(FINISH, "r10", "r11", "r12", "lr")                                            \
        "vmov r1, r2, s22, s23\n\t"                                                               \
        "movs r4, #64\n\t"                                                                        \
        TD_UPPER_4(FINISH_UPPER, "r6", "r7", "r8", "r9")                                          \
        "bfi r10, r6, #8, #8\n\t"                                                                 \
        "bfi r11, r7, #8, #8\n\t"                                                                 \
        "bfi r12, r8, #8, #8\n\t"                                                                 \
        "bfi lr, r9, #8, #8\n\t"                                                                  \
        "vmov r1, r2, s25, s26\n\t"                                                               \
        "vmov r3, s27\n\t"                                                                        \
        "strh r10, [r1]\n\t"                                                                      \
        "strh r11, [r1, r2]\n\t"                                                                  \
        "add r1, r1, r2, lsl #1\n\t"                                                              \
        "strh r12, [r1]\n\t"                                                                      \
        "strh lr, [r1, r2]\n\t"                                                                   \
        "add r1, r1, r2, lsl #1\n\t"                                                              \
        "vmov s25, r1\n\t"                                                                        \
        "cmp r0, r3\n\t"                                                                          \
        "beq 6f\n"                                                                                \
        "2:\n\t" /* four pixels, the first word */                                                \
        "vmov r5, s0\n\t"                                                                         \
        "vmov r6, r10, s17, s18\n\t"                                                              \
        "ldmia r0!, {r1, r2, r3, r4}\n\t"                                                         \
        "smlad r7, r2, r5, r6\n\t"                                                                \
        "smlad r8, r3, r5, r6\n\t"                                                                \
        "smlad r9, r4, r5, r6\n\t"                                                                \
        "smlad r6, r1, r5, r6\n\t"                                                                \
        "sxtb16 r5, r5\n\t"                                                                       \
        "smlad r11, r2, r5, r10\n\t"                                                              \
        "smlad r12, r3, r5, r10\n\t"                                                              \
        "smlad lr, r4, r5, r10\n\t"                                                               \
        "smlad r10, r1, r5, r10\n\t"                                                              \
        "ldr pc, [sp, #24]\n"                                                                     \
        "6:\n\t"                                                                                  \
        "ldrd r0, r3, [sp, #4]\n\t"                                                               \
        "ldrd r2, r4, [r0, #32]\n\t"                                                              \
        "add r1, r1, r2\n\t"                                                                      \
        "vmov s25, r1\n\t"                                                                        \
        "ldr r2, [sp, #16]\n\t"                                                                   \
        "ldr r1, [sp, #36]\n\t"                                                                   \
        "adds r1, r1, r2\n\t"                                                                     \
        "str r1, [sp, #16]\n\t"                                                                   \
        "cmp r3, r4\n\t"                                                                          \
        "bne.w 1b\n\t"                                                                            \
        "add sp, sp, #40\n\t"                                                                     \
        : "+r"(r0)                                                                                \
        :                                                                                         \
        : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",  \
          "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",     \
          "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23",     \
          "s24", "s25", "s26", "s27"); \
  }

TD_RUN(td_run_pairs_any, TD_13, TD_TO_14, 14, TD_FINISH, TD_FINISH_UPPER)
/* The same for an output zero point of -128. */
TD_RUN(td_run_pairs_above, TD_15, TD_TO_16, 16, TD_FINISH_ABOVE, TD_FINISH_UPPER_ABOVE)

#undef TD_RUN
#undef TD_UPPER_4
#undef TD_FINISH_4
#undef TD_TO_14
#undef TD_TO_16
#undef TD_15
#undef TD_13
#undef TD_WORD

/* Two pixels by two pairs, and so through a four of channels: first of all fours of pixels the
 * first two, then the others. The weights, in RAM, are [words, 2]; `weights_end` is theirs.
 * r0 walks over `spread`, r1 over the weights; r2 to r5 are sums of both channels (first pair,
 * second pair, two pixels each), r6 to r9 those of a. s0 to s15: both records, but where a
 * channel's offset would be again s7: `row`, s12: `weights_end`, s15: `spread_end`; s16: the
 * weights, s17: where outputs go. On the stack: where the first word is multiplied, the second
 * pixels and their outputs. */
#define TD_SUMS                \
  "smlad r2, r10, r12, r2\n\t" \
  "smlad r3, r11, r12, r3\n\t" \
  "smlad r4, r10, lr, r4\n\t"  \
  "smlad r5, r11, lr, r5\n\t"  \
  "sxtb16 r12, r12\n\t"        \
  "sxtb16 lr, lr\n\t"          \
  "smlad r6, r10, r12, r6\n\t" \
  "smlad r7, r11, r12, r7\n\t" \
  "smlad r8, r10, lr, r8\n\t"  \
  "smlad r9, r11, lr, r9\n\t"
#define TD_WORD           \
  "ldr r12, [r1], #4\n\t" \
  "ldr lr, [r1], #4\n\t"  \
  "ldr r10, [r0], #4\n\t" \
  "ldr r11, [r0], #12\n\t" TD_SUMS
#define TD_FINISH_2(FINISH, first, second) \
  FINISH(first, first, "r10", "r11", "r12") FINISH(second, second, "r10", "r11", "r12")
#define TD_UPPER_2(FINISH, first, second) \
  FINISH(first, "r10", "r11", "r12", "r1") FINISH(second, "r10", "r11", "r12", "r1")

#define TD_RUN(name, FINISH, FINISH_UPPER)                                                          \
  static inline void name(const td_pixels *pixels) {                                                \
    register const td_pixels *r0 __asm__("r0") = pixels;                                            \
    __asm__ volatile(                                                                             \
        "sub sp, sp, #16\n\t"                                                                     \
        "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8}\n\t"                                          \
        "vldmia r3, {s0-s15}\n\t"                                                                 \
        "vmov s7, r5\n\t"                                                                         \
        "vmov s12, r6\n\t"                                                                        \
        "vmov s15, r8\n\t"                                                                        \
        "vmov s16, s17, r2, r4\n\t"                                                               \
        "adr.w r9, 3f + 1\n\t"                                                                    \
        "add r9, r9, r7\n\t"                                                                      \
        "adds r6, r1, #8\n\t"                                                                     \
        "add r4, r4, r5, lsl #1\n\t"                                                              \
        "str r9, [sp]\n\t"                                                                        \
        "strd r6, r4, [sp, #4]\n\t"                                                               \
        "mov r0, r1\n"                                                                            \
        "1:\n\t" /* a tile */                                                                     \
        "vmov r1, s16\n\t"                                                                        \
        "vmov r2, r6, s0, s1\n\t"                                                                 \
        "vmov r4, r8, s8, s9\n\t"                                                                 \
        "mov r3, r2\n\t"                                                                          \
        "mov r5, r4\n\t"                                                                          \
        "mov r7, r6\n\t"                                                                          \
        "mov r9, r8\n\t"                                                                          \
        "ldr pc, [sp]\n"                                                                          \
        "3:\n\t" TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD                  \
        "vmov r10, s12\n\t"                                                                       \
        "cmp r1, r10\n\t"                                                                         \
        "bne.w 3b\n\t"                                                                            \
        "sub r2, r2, r6\n\t"                                                                      \
        "sub r3, r3, r7\n\t"                                                                      \
        "sub r4, r4, r8\n\t"                                                                      \
        "sub r5, r5, r9\n\t"                                                                      \
        "vmov r12, s4\n\t"                                                                        \
        "vmov r10, r11, s2, s3\n\t" TD_FINISH_2(FINISH, "r6", "r7")                                \
        "vmov r10, r11, s10, s11\n\t" TD_FINISH_2(FINISH, "r8", "r9")                              \
        "movs r1, #64\n\t"                                                                         \
        "vmov r10, r11, s5, s6\n\t" TD_UPPER_2(FINISH_UPPER, "r2", "r3")                           \
        "vmov r10, r11, s13, s14\n\t" TD_UPPER_2(FINISH_UPPER, "r4", "r5")                         \
        "bfi r6, r2, #8, #8\n\t"                                                                  \
        "bfi r7, r3, #8, #8\n\t"                                                                  \
        "bfi r6, r8, #16, #8\n\t"                                                                 \
        "bfi r7, r9, #16, #8\n\t"                                                                 \
        "bfi r6, r4, #24, #8\n\t"                                                                 \
        "bfi r7, r5, #24, #8\n\t"                                                                 \
        "vmov r1, s17\n\t"                                                                        \
        "vmov r2, s7\n\t"                                                                         \
        "vmov r3, s15\n\t"                                                                        \
        "str r6, [r1]\n\t"                                                                        \
        "str r7, [r1, r2]\n\t"                                                                    \
        "add r1, r1, r2, lsl #2\n\t"                                                              \
        "vmov s17, r1\n\t"                                                                        \
        "cmp r0, r3\n\t"                                                                          \
        "bne.w 1b\n\t"                                                                            \
        "ldrd r0, r1, [sp, #4]\n\t"                                                               \
        "cbz r0, 2f\n\t"                                                                          \
        "movs r2, #0\n\t"                                                                         \
        "str r2, [sp, #4]\n\t"                                                                    \
        "adds r3, r3, #8\n\t"                                                                     \
        "vmov s15, r3\n\t"                                                                        \
        "vmov s17, r1\n\t"                                                                        \
        "b 1b\n"                                                                                  \
        "2:\n\t"                                                                                  \
        "add sp, sp, #16\n\t"                                                                     \
        : "+r"(r0)                                                                                \
        :                                                                                         \
        : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",  \
          "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",     \
          "s12", "s13", "s14", "s15", "s16", "s17"); \
  }

TD_RUN(td_run_fours_any, TD_FINISH, TD_FINISH_UPPER)
/* The same for an output zero point of -128. */
TD_RUN(td_run_fours_above, TD_FINISH_ABOVE, TD_FINISH_UPPER_ABOVE)

#undef TD_RUN
#undef TD_UPPER_2
#undef TD_FINISH_2
#undef TD_WORD
#undef TD_SUMS

#endif

/* From two pairs' weights, 4-byte aligned and apart, to [words, 2]. */
static inline void td_weave(int8_t *to, const int8_t *first, const int8_t *second, int32_t words) {
#ifdef TD_HAS_DSP
  register int8_t *r0 __asm__("r0") = to;
  register const int8_t *r1 __asm__("r1") = first;
  register const int8_t *r2 __asm__("r2") = second;
  register int32_t r3 __asm__("r3") = words;
  __asm__ volatile(
      "b 2f\n"
      "1:\n\t"
      "ldmia r1!, {r4, r6, r8, r10}\n\t"
      "ldmia r2!, {r5, r7, r9, r11}\n\t"
      "stmia r0!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
      "2:\n\t"
      "subs r3, r3, #4\n\t"
      "bpl 1b\n\t"
      "b 4f\n"
      "3:\n\t"
      "ldr r4, [r1], #4\n\t"
      "ldr r5, [r2], #4\n\t"
      "stmia r0!, {r4, r5}\n"
      "4:\n\t"
      "tst r3, #3\n\t"
      "sub r3, r3, #1\n\t"
      "bne 3b\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
      :
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
#else
  for (int32_t i = 0; i < words; ++i, to += 8) {
    memcpy(to, first + 4 * i, 4);
    memcpy(to + 4, second + 4 * i, 4);
  }
#endif
}

/* All pairs of `run`, which have so many words; `above` where the output's zero point is -128. */
static inline void td_run_pairs(td_pixels *run, int32_t words, int32_t above) {
#ifdef TD_HAS_DSP
  /* How many words are left out the first time. */
  if (above) {
    run->skipped = (1 - words) & 15;
    td_run_pairs_above(run);
  } else {
    run->skipped = 13 - (words - 2) % 14;
    td_run_pairs_any(run);
  }
#else
  (void)words;
  (void)above;
  td_run_each(run);
#endif
}

/* Two pairs, their weights by td_weave. */
static inline void td_run_fours(td_pixels *run, int32_t words, int32_t above) {
#ifdef TD_HAS_DSP
  run->skipped = 56 * (-words & 7); /* bytes of code */
  if (above) {
    td_run_fours_above(run);
  } else {
    td_run_fours_any(run);
  }
#else
  (void)above;
  for (int32_t i = 0; i < 2; ++i) {
    int8_t *out = run->out + 2 * i;
    const td_pair_record *of = run->record + i;
    for (const uint32_t *x = run->spread; x != run->spread_end; x += 4 * words - 4) {
      for (int32_t j = 0; j < 4; ++j, ++x, out += run->row) {
        td_sums sums = {of->both, of->a};
        for (int32_t k = 0; k < words; ++k) {
          sums = td_add_word(sums, x[4 * k], td_load4(run->weights + 8 * k + 4 * i));
        }
        td_finish_pair(of, sums, out, out + 2);
      }
    }
  }
#endif
}

#endif
