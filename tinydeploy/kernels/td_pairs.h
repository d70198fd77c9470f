/* Two pixels in one word: a multiplication makes two products where the core has no SIMD.
 *
 * The word of pixels a and b is a + b * 2^TD_PAIR_SHIFT, and a sum of such words times weights is
 * the sum of a's products plus that of b's times 2^TD_PAIR_SHIFT: both can be told apart as long as
 * a's stays within TD_PAIR_SHIFT bits.
 */
#ifndef TD_PAIRS_H
#define TD_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__thumb__) && !defined(__thumb2__)
/* A product of 32 bits: two of them are added up before they are told apart. */
#define TD_PAIR_SHIFT 16
#else
/* Of 64 bits: 252 products are below 2^22. */
#define TD_PAIR_SHIFT 23
#endif

enum { TD_PAIR_QUADS = 63 /* what td_step_pairs adds up at most, in fours */ };

static inline int32_t td_pair(int32_t a, int32_t b) {
#if TD_PAIR_SHIFT == 16
  /* Negated: two products of a pixel then never exceed 16 bits. */
  return -b * (1 << TD_PAIR_SHIFT) - a;
#else
  return b * (1 << TD_PAIR_SHIFT) + a;
#endif
}

/* `pairs`: [count]. */
static inline void td_pack_pairs(const int8_t *a, const int8_t *b, int32_t count, int32_t *pairs) {
#ifndef __OPTIMIZE_SIZE__
  for (; count >= 4; count -= 4, a += 4, b += 4, pairs += 4) {
    pairs[0] = td_pair(a[0], b[0]);
    pairs[1] = td_pair(a[1], b[1]);
    pairs[2] = td_pair(a[2], b[2]);
    pairs[3] = td_pair(a[3], b[3]);
  }
#endif
  for (; count > 0; --count) *pairs++ = td_pair(*a++, *b++);
}

/* What a step of at most TD_PAIR_QUADS reads, and the sums [channel, pixel] that it leaves. */
typedef struct {
  const int32_t *pairs;  /* [quads, 4] */
  const int8_t *weights; /* [quads, channel, 4], 4-byte aligned */
  const int32_t *end;    /* of the pairs */
  int32_t sums[8];
} td_pair_step;

#if TD_PAIR_SHIFT == 16

/* r5 holds two products of each pixel, modulo 2^32: an upper half of -2^15 with a lower one below 0
 * wraps around. 2^15 in r9 makes the lower one positive, and wraps back. */
#define TD_HALVES        \
  "sxth r2, r5\n\t"      \
  "adds r6, r6, r2\n\t"  \
  "add r5, r9\n\t"       \
  "asrs r5, r5, #16\n\t" \
  "adds r7, r7, r5\n\t"

/* One of the four channels. */
static inline void td_step_channel(td_pair_step *step, int32_t channel) {
  register td_pair_step *r0 __asm__("r0") = step;
  register const int8_t *r1 __asm__("r1") = step->weights + 4 * channel;
  register int32_t *r2 __asm__("r2") = step->sums + 2 * channel;
  __asm__ volatile(
      ".syntax unified\n\t"
      "mov r12, r2\n\t"
      "movs r2, #128\n\t"
      "lsls r2, r2, #8\n\t"
      "mov r9, r2\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "ldr r2, [r0, #8]\n\t"
      "mov r8, r2\n\t"
      "ldr r0, [r0]\n"
      "1:\n\t"
      "ldr r4, [r1]\n\t"
      "adds r1, #16\n\t"
      "ldm r0!, {r2, r3}\n\t"
      "sxtb r5, r4\n\t"
      "muls r5, r2, r5\n\t"
      "lsls r2, r4, #16\n\t"
      "asrs r2, r2, #24\n\t"
      "muls r2, r3, r2\n\t"
      "adds r5, r5, r2\n\t" TD_HALVES
      "ldm r0!, {r2, r3}\n\t"
      "lsls r5, r4, #8\n\t"
      "asrs r5, r5, #24\n\t"
      "muls r5, r2, r5\n\t"
      "asrs r4, r4, #24\n\t"
      "muls r4, r3, r4\n\t"
      "adds r5, r5, r4\n\t" TD_HALVES
      "cmp r0, r8\n\t"
      "bne 1b\n\t"
      "mov r2, r12\n\t"
      "negs r6, r6\n\t"
      "negs r7, r7\n\t"
      "stm r2!, {r6, r7}\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2)
      :
      : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r12", "cc", "memory");
}

#undef TD_HALVES

static inline void td_step_pairs(td_pair_step *step) {
  for (int32_t channel = 0; channel < 4; ++channel) td_step_channel(step, channel);
}

#elif defined(__thumb2__)

#define TD_PRODUCT(lower, upper, at) \
  "ldrsb r10, [r1" at                \
  "\n\t"                             \
  "smlal " lower ", " upper ", r11, r10\n\t"
#define TD_PRODUCTS(at_b, at_c, at_d, at_a) \
  TD_PRODUCT("r4", "r5", ", #" at_b "]")    \
  TD_PRODUCT("r6", "r7", ", #" at_c "]")    \
  TD_PRODUCT("r8", "r9", ", #" at_d "]") TD_PRODUCT("r2", "r3", at_a)

/* Both halves of a channel's sum become those of its pixels; the bit that is shifted out of the
 * upper one tells whether the lower one is negative. */
#define TD_PART(lower, upper) \
  "lsrs r0, " lower           \
  ", #23\n\t"                 \
  "adc " upper ", r0, " upper \
  ", lsl #9\n\t"              \
  "sbfx " lower ", " lower ", #0, #23\n\t"

typedef char td_pair_step_layout[offsetof(td_pair_step, sums) == 12 ? 1 : -1];

static inline void td_step_pairs(td_pair_step *step) {
  register td_pair_step *r0 __asm__("r0") = step;
  __asm__ volatile(
      "mov lr, r0\n\t"
      "ldmia lr!, {r0, r1, r12}\n\t"
      "movs r2, #0\n\t"
      "movs r3, #0\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r2\n\t"
      "mov r9, r2\n"
      "1:\n\t"
      "ldr r11, [r0, #4]\n\t" TD_PRODUCTS("5", "9", "13", ", #1]")
      "ldr r11, [r0, #8]\n\t" TD_PRODUCTS("6", "10", "14", ", #2]")
      "ldr r11, [r0, #12]\n\t" TD_PRODUCTS("7", "11", "15", ", #3]")
      "ldr r11, [r0], #16\n\t" TD_PRODUCTS("4", "8", "12", "], #16")
      "cmp r0, r12\n\t"
      "bne 1b\n\t" TD_PART("r2", "r3") TD_PART("r4", "r5") TD_PART("r6", "r7")
      TD_PART("r8", "r9")
      "stmia lr, {r2, r3, r4, r5, r6, r7, r8, r9}\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef TD_PRODUCT
#undef TD_PRODUCTS
#undef TD_PART

#else

static inline void td_step_pairs(td_pair_step *step) {
  const int64_t one = 1LL << TD_PAIR_SHIFT;
  int64_t sums[4] = {0};
  const int8_t *w = step->weights;
  for (const int32_t *x = step->pairs; x != step->end; x += 4, w += 16) {
    for (int32_t i = 0; i < 16; ++i) sums[i / 4] += (int64_t)x[i % 4] * w[i];
  }
  for (int32_t i = 0; i < 4; ++i) {
    const int64_t upper = (sums[i] + one / 2) >> TD_PAIR_SHIFT;
    step->sums[2 * i] = (int32_t)(sums[i] - upper * one);
    step->sums[2 * i + 1] = (int32_t)upper;
  }
}

#endif

/* To step->sums those of all `quads`; the pairs and weights to read are in `step`. */
static inline void td_sum_pairs(td_pair_step *step, int32_t quads) {
  const int32_t *const end = step->pairs + 4 * quads;
  step->end = quads <= TD_PAIR_QUADS ? end : step->pairs + 4 * TD_PAIR_QUADS;
  td_step_pairs(step);
  while (step->end != end) {
    int32_t before[8];
    for (int32_t i = 0; i < 8; ++i) before[i] = step->sums[i];
    step->weights += 16 * TD_PAIR_QUADS;
    step->pairs = step->end;
    step->end = end - step->pairs <= 4 * TD_PAIR_QUADS ? end : step->pairs + 4 * TD_PAIR_QUADS;
    td_step_pairs(step);
    for (int32_t i = 0; i < 8; ++i) step->sums[i] += before[i];
  }
}

#endif
