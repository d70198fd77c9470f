/* Inner products of spread pixels with rows of weights.
 *
 * Four int8 of a pixel are spread into the two words td_even_bytes and td_odd_bytes of them, which
 * meet the same two words of four weights in two td_dot2. Four pixels lie side by side:
 *     [quads, 2, 4]: for each four int8, the even words of four pixels, then their odd words.
 */
#ifndef TD_DOT_H
#define TD_DOT_H

#include <stddef.h>
#include <stdint.h>

#include "td_simd.h"

/* Spreads one of four pixels: 4 * quads int8 from any address to spread[0], spread[4], ... */
static inline void td_spread_1(const int8_t *from, int32_t quads, uint32_t *spread) {
  for (const int8_t *end = from + 4 * quads; from != end; from += 4, spread += 8) {
    const uint32_t word = td_load4(from);
    spread[0] = td_even_bytes(word);
    spread[4] = td_odd_bytes(word);
  }
}

/* All four at once. */
static inline void td_spread_4(const int8_t *const *from, int32_t quads, uint32_t *spread) {
  const int8_t *a = from[0], *b = from[1], *c = from[2], *d = from[3];
  for (uint32_t *end = spread + 8 * quads; spread != end; spread += 8) {
    const uint32_t w = td_load4(a), x = td_load4(b), y = td_load4(c), z = td_load4(d);
    a += 4;
    b += 4;
    c += 4;
    d += 4;
    spread[0] = td_even_bytes(w);
    spread[1] = td_even_bytes(x);
    spread[2] = td_even_bytes(y);
    spread[3] = td_even_bytes(z);
    spread[4] = td_odd_bytes(w);
    spread[5] = td_odd_bytes(x);
    spread[6] = td_odd_bytes(y);
    spread[7] = td_odd_bytes(z);
  }
}

/* Four spread pixels on their way through output channels, one by one. */
typedef struct {
  const uint32_t *spread; /* [quads, 2, 4] */
  int32_t quads;
  const td_record *record;
  int8_t *out; /* of the first pixel */
  int32_t row; /* bytes to that of the next */
  int8_t *end;
  const int8_t *weights; /* [channels, quads, 4], 4-byte aligned */
} td_four_pixels;

#ifdef TD_HAS_DSP

/* One load brings four words; a compiler makes four of it, and a quarter more instructions. */
#define TD_QUAD                     \
  "ldr lr, [r10], #4\n\t"           \
  "ldmia r1!, {r2, r3, r4, r5}\n\t" \
  "sxtb16 r12, lr\n\t"              \
  "sxtb16 lr, lr, ror #8\n\t"       \
  "smlad r6, r2, r12, r6\n\t"       \
  "smlad r7, r3, r12, r7\n\t"       \
  "smlad r8, r4, r12, r8\n\t"       \
  "smlad r9, r5, r12, r9\n\t"       \
  "ldmia r1!, {r2, r3, r4, r5}\n\t" \
  "smlad r6, r2, lr, r6\n\t"        \
  "smlad r7, r3, lr, r7\n\t"        \
  "smlad r8, r4, lr, r8\n\t"        \
  "smlad r9, r5, lr, r9\n\t"
#define TD_PIXEL(acc) TD_FINISH(acc, acc, "r3", "r4", "r5")

typedef char td_four_pixels_layout[offsetof(td_four_pixels, weights) == 24 ? 1 : -1];

/* Written as a whole because it needs every register: r6 to r9 are the sums of the four pixels,
 * r1 walks over `spread`, r10 over the weights. */
static inline void td_run_four_pixels(td_four_pixels *pixels) {
  register td_four_pixels *r0 __asm__("r0") = pixels;
  __asm__ volatile(
      "ldr r10, [r0, #24]\n"
      "1:\n\t"
      "ldmia r0, {r1, r11, lr}\n\t"
      "ldr r6, [lr], #16\n\t"
      "str lr, [r0, #8]\n\t"
      "mov r7, r6\n\t"
      "mov r8, r6\n\t"
      "mov r9, r6\n\t"
      "lsrs r11, r11, #1\n\t"
      "bcc 2f\n\t" TD_QUAD
      "beq 3f\n"
      "2:\n\t" TD_QUAD TD_QUAD
      "subs r11, r11, #1\n\t"
      "bne 2b\n"
      "3:\n\t"
      "ldr lr, [r0, #8]\n\t"
      "ldrd r1, r2, [r0, #12]\n\t"
      "ldrd r3, r4, [lr, #-12]\n\t"
      "ldr r5, [lr, #-4]\n\t" TD_PIXEL("r6") TD_PIXEL("r7") TD_PIXEL("r8") TD_PIXEL("r9")
      "add r12, r2, r2, lsl #1\n\t"
      "strb r7, [r1, r2]\n\t"
      "strb r8, [r1, r2, lsl #1]\n\t"
      "strb r9, [r1, r12]\n\t"
      "strb r6, [r1], #1\n\t"
      "ldr r12, [r0, #20]\n\t"
      "str r1, [r0, #12]\n\t"
      "cmp r1, r12\n\t"
      "bne 1b\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef TD_QUAD
#undef TD_PIXEL

#else

static inline void td_run_four_pixels(td_four_pixels *p) {
  const int8_t *weights = p->weights;
  for (; p->out != p->end; ++p->out, ++p->record, weights += 4 * p->quads) {
    for (int32_t j = 0; j < 4; ++j) {
      int32_t acc = p->record->folded;
      for (int32_t i = 0; i < p->quads; ++i) {
        const uint32_t word = td_load4(weights + 4 * i);
        acc = td_dot2(p->spread[8 * i + j], td_even_bytes(word), acc);
        acc = td_dot2(p->spread[8 * i + 4 + j], td_odd_bytes(word), acc);
      }
      p->out[j * p->row] = td_finish(*p->record, acc);
    }
  }
}

#endif

/* acc + the inner product of 4 * quads int8 at any address with `weights`. */
static inline int32_t td_dot_1x1(const int8_t *from, const int8_t *weights, int32_t quads,
                                 int32_t acc) {
  for (const int8_t *end = from + 4 * quads; from != end; from += 4, weights += 4) {
    const uint32_t x = td_load4(from), w = td_load4(weights);
    acc = td_dot2(td_even_bytes(x), td_even_bytes(w), acc);
    acc = td_dot2(td_odd_bytes(x), td_odd_bytes(w), acc);
  }
  return acc;
}

#endif
