/* Inner products of spread pixels with rows of weights.
 *
 * Four int8 of a pixel are spread into the two words td_even_bytes and td_odd_bytes of them, which
 * meet the same two words of four weights in two td_dot2. Four pixels lie side by side:
 *     [quads, 2, 4]: for each four int8, the even words of four pixels, then their odd words.
 */
#ifndef TD_DOT_H
#define TD_DOT_H

#include <stdint.h>

#include "td_simd.h"

/* Spreads one of four pixels: 4 * quads int8 from any address to spread[0], spread[4], ... */
static inline void td_spread(const int8_t *from, int32_t quads, uint32_t *spread) {
  for (const int8_t *end = from + 4 * quads; from != end; from += 4, spread += 8) {
    const uint32_t word = td_load4(from);
    spread[0] = td_even_bytes(word);
    spread[4] = td_odd_bytes(word);
  }
}

/* acc[i] += the inner product of pixel i with `weights`, 4 * quads int8, 4-byte aligned. */
static inline void td_dot_4x1(const uint32_t *spread, const int8_t *weights, int32_t quads,
                              int32_t *acc) {
#ifdef TD_HAS_DSP
  /* One load brings four words: the compiler makes four of it, and a quarter more instructions. */
#define TD_QUAD                            \
  "ldr %[w], [%[weights]], #4\n\t"         \
  "ldmia %[spread]!, {r2, r3, r4, r5}\n\t" \
  "sxtb16 %[t], %[w]\n\t"                  \
  "sxtb16 %[w], %[w], ror #8\n\t"          \
  "smlad %[a], r2, %[t], %[a]\n\t"         \
  "smlad %[b], r3, %[t], %[b]\n\t"         \
  "smlad %[c], r4, %[t], %[c]\n\t"         \
  "smlad %[d], r5, %[t], %[d]\n\t"         \
  "ldmia %[spread]!, {r2, r3, r4, r5}\n\t" \
  "smlad %[a], r2, %[w], %[a]\n\t"         \
  "smlad %[b], r3, %[w], %[b]\n\t"         \
  "smlad %[c], r4, %[w], %[c]\n\t"         \
  "smlad %[d], r5, %[w], %[d]\n\t"
  uint32_t t, w;
  __asm__ volatile(
      "lsrs %[quads], %[quads], #1\n\t"
      "bcc 1f\n\t" TD_QUAD
      "beq 2f\n"
      "1:\n\t" TD_QUAD TD_QUAD
      "subs %[quads], %[quads], #1\n\t"
      "bne 1b\n"
      "2:\n"
      : [a] "+r"(acc[0]), [b] "+r"(acc[1]), [c] "+r"(acc[2]), [d] "+r"(acc[3]),
        [spread] "+r"(spread), [weights] "+r"(weights), [quads] "+r"(quads), [t] "=&r"(t),
        [w] "=&r"(w)
      :
      : "r2", "r3", "r4", "r5", "cc", "memory");
#undef TD_QUAD
#else
  for (int32_t i = 0; i < quads; ++i, spread += 8, weights += 4) {
    const uint32_t even = td_even_bytes(td_load4(weights)), odd = td_odd_bytes(td_load4(weights));
    for (int32_t j = 0; j < 4; ++j) {
      acc[j] = td_dot2(spread[j], even, acc[j]);
      acc[j] = td_dot2(spread[4 + j], odd, acc[j]);
    }
  }
#endif
}

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

/* acc[i] += the inner product of one pixel, spread as [quads, 2], with row i of `weights`:
 * [quads, 4 rows, 4], 4-byte aligned. */
static inline void td_dot_1x4(const uint32_t *spread, const int8_t *weights, int32_t quads,
                              int32_t *acc) {
#ifdef TD_HAS_DSP
#define TD_ROW(acc, w)                 \
  "sxtb16 %[t], " w                    \
  "\n\t"                               \
  "sxtb16 " w ", " w                   \
  ", ror #8\n\t"                       \
  "smlad " acc ", %[t], %[even], " acc \
  "\n\t"                               \
  "smlad " acc ", " w ", %[odd], " acc "\n\t"
  uint32_t even, odd, t;
  __asm__ volatile(
      "1:\n\t"
      "ldmia %[weights]!, {r2, r3, r4, r5}\n\t"
      "ldrd %[even], %[odd], [%[spread]], #8\n\t" TD_ROW("%[a]", "r2") TD_ROW("%[b]", "r3")
          TD_ROW("%[c]", "r4") TD_ROW("%[d]", "r5") "subs %[quads], %[quads], #1\n\t"
      "bne 1b\n"
      : [a] "+r"(acc[0]), [b] "+r"(acc[1]), [c] "+r"(acc[2]), [d] "+r"(acc[3]),
        [spread] "+r"(spread), [weights] "+r"(weights), [quads] "+r"(quads), [t] "=&r"(t),
        [even] "=&r"(even), [odd] "=&r"(odd)
      :
      : "r2", "r3", "r4", "r5", "cc", "memory");
#undef TD_ROW
#else
  for (int32_t i = 0; i < quads; ++i, spread += 2) {
    for (int32_t j = 0; j < 4; ++j, weights += 4) {
      acc[j] = td_dot2(spread[0], td_even_bytes(td_load4(weights)), acc[j]);
      acc[j] = td_dot2(spread[1], td_odd_bytes(td_load4(weights)), acc[j]);
    }
  }
#endif
}

#endif
