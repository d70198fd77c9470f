/* td_run_pairs of td_dot.h with the core's registers alone. */
#ifndef TD_DOT_PAIRS_H
#define TD_DOT_PAIRS_H

#include "td_dot.h"

/* Whether a pair's weights are worth a copy in RAM: they are too many for the cache of a flash, and
 * the pixels that want them are many. */
static inline int32_t td_copies_weights(int32_t words, int32_t pixels) {
  return words > 48 && pixels >= 12;
}

/* 4-byte aligned and apart. */
static inline void td_copy_words(int8_t *to, const int8_t *from, int32_t words) {
#ifdef TD_HAS_DSP
  register int8_t *r0 __asm__("r0") = to;
  register const int8_t *r1 __asm__("r1") = from;
  register int32_t r2 __asm__("r2") = words;
  /* By eights: a compiler would call memcpy. */
  __asm__ volatile(
      "b 2f\n"
      "1:\n\t"
      "ldmia r1!, {r3, r4, r5, r6, r7, r8, r9, r10}\n\t"
      "stmia r0!, {r3, r4, r5, r6, r7, r8, r9, r10}\n"
      "2:\n\t"
      "subs r2, r2, #8\n\t"
      "bpl 1b\n\t"
      "b 4f\n"
      "3:\n\t"
      "ldr r3, [r1], #4\n\t"
      "str r3, [r0], #4\n"
      "4:\n\t"
      "tst r2, #7\n\t"
      "sub r2, r2, #1\n\t"
      "bne 3b\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2)
      :
      : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "cc", "memory");
#else
  memcpy(to, from, 4 * (uint32_t)words);
#endif
}

#ifdef TD_HAS_DSP

/* Pixels two by two: r10 and r11 hold them, r12 both channels' weights, lr those of a. */
#define TD_SUMS(first, first_a, second, second_a) \
  "smlad " first ", r10, r12, " first             \
  "\n\t"                                          \
  "smlad " first_a ", r10, lr, " first_a          \
  "\n\t"                                          \
  "smlad " second ", r11, r12, " second           \
  "\n\t"                                          \
  "smlad " second_a ", r11, lr, " second_a "\n\t"
/* In 12 instructions. */
#define TD_SHORT_WORD                                                                              \
  "ldr r12, [r1], #4\n\t"                                                                          \
  "sxtb16 lr, r12\n\t"                                                                             \
  "ldmia r0!, {r10, r11}\n\t" TD_SUMS("r2", "r6", "r3", "r7") "ldmia r0!, {r10, r11}\n\t" TD_SUMS( \
      "r4", "r8", "r5", "r9")
/* In 13, but a cycle less: single loads that follow one another take one each. */
#define TD_WORD                                                                             \
  "ldr r12, [r1], #4\n\t"                                                                   \
  "ldr r10, [r0], #4\n\t"                                                                   \
  "ldr r11, [r0], #4\n\t"                                                                   \
  "sxtb16 lr, r12\n\t" TD_SUMS("r2", "r6", "r3", "r7") "ldmia r0!, {r10, r11}\n\t" TD_SUMS( \
      "r4", "r8", "r5", "r9")
/* All words of a pair of channels: eight at a time from label 2 on, but the first time some are
 * skipped; of `skipped` an address is made. */
#ifdef __OPTIMIZE_SIZE__
#define TD_ENTRY
#define TD_WORDS "2:\n\t" TD_SHORT_WORD
#else
#define TD_ENTRY       \
  "adr.w lr, 2f\n\t"   \
  "add r8, r8, lr\n\t" \
  "orr r8, r8, #1\n\t"
#define TD_WORDS        \
  "ldr pc, [sp, #24]\n" \
  "2:\n\t" TD_SHORT_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD TD_WORD
#endif
#define TD_UPPER(both, a) "sub " both ", " both ", " a "\n\t"
#define TD_JOIN(a, b) "bfi " a ", " b ", #8, #8\n\t"
#define TD_STORE               \
  "strh r6, [r2]\n\t"          \
  "strh r7, [r2, r3]\n\t"      \
  "add r2, r2, r3, lsl #1\n\t" \
  "strh r8, [r2]\n\t"          \
  "strh r9, [r2, r3]\n\t"      \
  "add r2, r2, r3, lsl #1\n\t"

#define TD_FINISH_A(FINISH, first, second, third, fourth)                                   \
  "ldmia lr!, {r10, r11, r12}\n\t" FINISH(first, first, "r10", "r11", "r12")                \
      FINISH(second, second, "r10", "r11", "r12") FINISH(third, third, "r10", "r11", "r12") \
          FINISH(fourth, fourth, "r10", "r11", "r12")
#define TD_FINISH_B(FINISH, first, second, third, fourth)                                \
  "ldmia lr!, {r10, r11, r12}\n\t"                                                       \
  "movs r1, #64\n\t" FINISH(first, "r10", "r11", "r12", "r1")                            \
      FINISH(second, "r10", "r11", "r12", "r1") FINISH(third, "r10", "r11", "r12", "r1") \
          FINISH(fourth, "r10", "r11", "r12", "r1")

typedef char td_pixels_layout[offsetof(td_pixels, end) == 36 ? 1 : -1];

/* Written as a whole because it needs every register: r2 to r5 are the sums of both channels, r6 to
 * r9 those of a, r0 walks over `spread`, r1 over the weights; a copy of `pixels` is on the stack,
 * its record moved to where `of_a` is; at label 1 lr is behind the record. */
#define TD_RUN(name, FINISH, FINISH_UPPER)                                                       \
  static inline void name(const td_pixels *pixels) {                                             \
    register const td_pixels *r0 __asm__("r0") = pixels;                                         \
    __asm__ volatile(                                                                            \
        "sub sp, sp, #40\n\t"                                                                    \
        "ldmia r0!, {r2, r3, r4, r5, r6, r7, r8, r9}\n\t"                                        \
        "adds r4, r4, #8\n\t" TD_ENTRY                                                           \
        "stmia sp, {r2, r3, r4, r5, r6, r7, r8, r9}\n\t"                                         \
        "ldrd r10, r11, [r0]\n\t"                                                                \
        "strd r10, r11, [sp, #32]\n\t"                                                           \
        "mov r0, r2\n\t"                                                                         \
        "add lr, r4, #24\n"                                                                      \
        "1:\n\t"                                                                                 \
        "ldr r1, [sp, #4]\n\t"                                                                   \
        "ldrd r2, r6, [lr, #-32]\n\t"                                                            \
        "mov r3, r2\n\t"                                                                         \
        "mov r4, r2\n\t"                                                                         \
        "mov r5, r2\n\t"                                                                         \
        "mov r7, r6\n\t"                                                                         \
        "mov r8, r6\n\t"                                                                         \
        "mov r9, r6\n\t" TD_WORDS                                                                \
        "ldr r10, [sp, #20]\n\t"                                                                 \
        "cmp r1, r10\n\t"                                                                        \
        "bne 2b\n\t"                                                                             \
        "ldr lr, [sp, #8]\n\t" TD_UPPER("r2", "r6") TD_UPPER("r3", "r7") TD_UPPER("r4", "r8")    \
            TD_UPPER("r5", "r9") TD_FINISH_A(FINISH, "r6", "r7", "r8", "r9") TD_FINISH_B(        \
                FINISH_UPPER, "r2", "r3", "r4", "r5") TD_JOIN("r6", "r2") TD_JOIN("r7", "r3")    \
                TD_JOIN("r8", "r4") TD_JOIN("r9", "r5") "ldrd r2, r3, [sp, #12]\n\t" TD_STORE    \
                                                        "str r2, [sp, #12]\n\t"                  \
                                                        "ldr r3, [sp, #28]\n\t"                  \
                                                        "cmp r0, r3\n\t"                         \
                                                        "bne 1b\n\t"                             \
                                                        "ldrd r5, r6, [sp, #32]\n\t"             \
                                                        "cmp lr, r6\n\t"                         \
                                                        "beq 3f\n\t"                             \
                                                        "add r5, r5, r2\n\t"                     \
                                                        "ldr r1, [sp, #20]\n\t"                  \
                                                        "ldr r2, [sp, #4]\n\t"                   \
                                                        "rsb r2, r2, r1, lsl #1\n\t"             \
                                                        "str r2, [sp, #20]\n\t"                  \
                                                        "add r4, lr, #8\n\t"                     \
                                                        "ldr r0, [sp]\n\t"                       \
                                                        "add r2, sp, #4\n\t"                     \
                                                        "stmia r2, {r1, r4, r5}\n\t"             \
                                                        "adds lr, lr, #32\n\t"                   \
                                                        "b 1b\n"                                 \
                                                        "3:\n\t"                                 \
                                                        "add sp, sp, #40\n\t"                    \
        : "+r"(r0)                                                                               \
        :                                                                                        \
        : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", \
          "memory");                                                                             \
  }

TD_RUN(td_run_any, TD_FINISH, TD_FINISH_UPPER)
/* The same for an output zero point of -128. */
TD_RUN(td_run_above, TD_FINISH_ABOVE, TD_FINISH_UPPER_ABOVE)

#undef TD_RUN
#undef TD_WORDS
#undef TD_ENTRY
#undef TD_WORD
#undef TD_UPPER
#undef TD_JOIN
#undef TD_STORE
#undef TD_FINISH_A
#undef TD_FINISH_B
#undef TD_SHORT_WORD
#undef TD_SUMS

#endif

/* All pairs of `run`, which have so many words; `above` where the output's zero point is -128. */
static inline void td_run_pairs(td_pixels *run, int32_t words, int32_t above) {
#ifdef __OPTIMIZE_SIZE__
  (void)words;
#else
  /* Bytes of code that computes -words modulo 8 words: a short one comes first. */
  const int32_t skipped = -words & 7;
  run->skipped = 52 * skipped - 4 * (skipped > 0);
#endif
#ifdef TD_HAS_DSP
  if (above) {
    td_run_above(run);
  } else {
    td_run_any(run);
  }
#else
  (void)above;
  td_run_each(run);
#endif
}

#endif
