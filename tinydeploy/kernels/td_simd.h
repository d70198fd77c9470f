/* The DSP extension's arithmetic: ACLE intrinsics where the core has it, portable C of the same
 * meaning elsewhere, so that the dsp kernels run and are sanitised on any host.
 *
 * A word holds four int8 (bytes 0 to 3) or two int16 (bottom, top); sums are modulo 2^32. The host
 * must be little-endian, as the cores are.
 */
#ifndef TD_SIMD_H
#define TD_SIMD_H

#include <stdint.h>
#include <string.h>

#include "td_fixedpoint.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define TD_HAS_DSP 1
#include <arm_acle.h>
#endif

/* Four bytes from any address; 32-bit loads of DSP cores need no alignment. */
static inline uint32_t td_load4(const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4); /* a freestanding clang would call memcpy */
  return word;
}

static inline void td_store4(int8_t *to, uint32_t word) { __builtin_memcpy(to, &word, 4); }

#ifdef TD_HAS_DSP

/* int16 (byte 0, byte 2) */
static inline uint32_t td_even_bytes(uint32_t word) { return (uint32_t)__sxtb16((int8x4_t)word); }

/* int16 (byte 1, byte 3). In assembly: GCC does not merge the rotation. */
static inline uint32_t td_odd_bytes(uint32_t word) {
  uint32_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  return odd;
}

/* acc + bottom * bottom + top * top */
static inline int32_t td_dot2(uint32_t a, uint32_t b, int32_t acc) {
  return __smlad((int16x2_t)a, (int16x2_t)b, acc);
}

/* acc + bottom * bottom; acc + top * top */
static inline int32_t td_bottom(uint32_t a, uint32_t b, int32_t acc) {
  return __smlabb((int32_t)a, (int32_t)b, acc);
}
static inline int32_t td_top(uint32_t a, uint32_t b, int32_t acc) {
  return __smlatt((int32_t)a, (int32_t)b, acc);
}

#else

static inline uint32_t td_even_bytes(uint32_t word) {
  const uint32_t low = (uint32_t)(int32_t)(int8_t)word;
  const uint32_t high = (uint32_t)(int32_t)(int8_t)(word >> 16);
  return (low & 0xffff) | high << 16;
}

static inline uint32_t td_odd_bytes(uint32_t word) { return td_even_bytes(word >> 8); }

static inline int32_t td_bottom(uint32_t a, uint32_t b, int32_t acc) {
  return (int32_t)((uint32_t)acc + (uint32_t)((int16_t)a * (int16_t)b));
}

static inline int32_t td_top(uint32_t a, uint32_t b, int32_t acc) {
  return td_bottom(a >> 16, b >> 16, acc);
}

static inline int32_t td_dot2(uint32_t a, uint32_t b, int32_t acc) {
  return td_top(a, b, td_bottom(a, b, acc));
}

#endif

/* Requantisation in four instructions, of channels that shift right by r >= 1. A record holds
 *     folded       the bias with the input's zero point: where the accumulator starts
 *     multiplier   2 m - 2^32
 *     scale        -2^(32 - r)
 *     offset       the output's zero point
 * and with `high` and `divide` of td_fixedpoint.h, for any accumulator a,
 *     v = high(a, m)      = floor((a * (2 m - 2^32) + a * 2^32 + 2^31) / 2^32)
 *     divide(v, r)        = floor((v - (v < 0) + 2^(r - 1)) / 2^r)
 *     offset + divide(..) = floor((offset * 2^32 - (v - (v < 0)) * scale + 2^31) / 2^32).
 */
typedef struct {
  int32_t folded, multiplier, scale, offset;
} td_record;

#ifdef TD_HAS_DSP
/* As text of assembly, registers by name: `to` may be `acc`. No intrinsic gives the two
 * multiplications. */
#define TD_FINISH(to, acc, multiplier, scale, offset) \
  "smmlar " to ", " acc ", " multiplier ", " acc      \
  "\n\t"                                              \
  "add " to ", " to ", " to                           \
  ", asr #31\n\t"                                     \
  "smmlsr " to ", " to ", " scale ", " offset         \
  "\n\t"                                              \
  "ssat " to ", #8, " to "\n\t"
/* The same where the output's zero point is -128: all v <= 0 end there, however they are rounded.
 */
#define TD_FINISH_ABOVE(to, acc, multiplier, scale, offset) \
  "smmlar " to ", " acc ", " multiplier ", " acc            \
  "\n\t"                                                    \
  "smmlsr " to ", " to ", " scale ", " offset               \
  "\n\t"                                                    \
  "ssat " to ", #8, " to "\n\t"
/* Of an accumulator that lies in the upper 24 bits of `to`; `half` holds 64. */
#define TD_FINISH_UPPER(to, multiplier, scale, offset, half) \
  "smmla " to ", " to ", " multiplier ", " half              \
  "\n\t"                                                     \
  "bic " to ", " to                                          \
  ", #127\n\t"                                               \
  "add " to ", " to ", " to                                  \
  ", asr #31\n\t"                                            \
  "smmlsr " to ", " to ", " scale ", " offset                \
  "\n\t"                                                     \
  "ssat " to ", #8, " to "\n\t"
#define TD_FINISH_UPPER_ABOVE(to, multiplier, scale, offset, half) \
  "smmla " to ", " to ", " multiplier ", " half                    \
  "\n\t"                                                           \
  "smmlsr " to ", " to ", " scale ", " offset                      \
  "\n\t"                                                           \
  "ssat " to ", #8, " to "\n\t"
#endif

static inline int8_t td_saturate(int64_t v) {
  return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

/* Saturated to int8. */
static inline int8_t td_finish(td_record r, int32_t acc) {
#ifdef TD_HAS_DSP
  int32_t v;
  __asm__(TD_FINISH("%[v]", "%[acc]", "%[multiplier]", "%[scale]", "%[offset]")
          : [v] "=&r"(v)
          : [acc] "r"(acc), [multiplier] "r"(r.multiplier), [scale] "r"(r.scale),
            [offset] "r"(r.offset));
  return (int8_t)v;
#else
  const int64_t half = 1LL << 31;
  int64_t v = ((int64_t)acc * r.multiplier + (int64_t)acc * (half * 2) + half) >> 32;
  v += v < 0 ? -1 : 0;
  return td_saturate((r.offset * (half * 2) - v * r.scale + half) >> 32);
#endif
}

/* The same of 256 times an accumulator a of 24 bits, for which a record holds
 *     multiplier   m
 *     scale        -2^(25 - r)
 * As w = floor(256 a * m / 2^32) + 64 is v with 7 more bits, floor(w / 2^7) = v, and
 *     divide(v, r) = floor((128 v - (v < 0) + 2^(r + 6)) / 2^(r + 7)). */
static inline int8_t td_finish_upper(td_record r, int32_t upper) {
#ifdef TD_HAS_DSP
  __asm__(TD_FINISH_UPPER("%[v]", "%[multiplier]", "%[scale]", "%[offset]", "%[half]")
          : [v] "+&r"(upper)
          : [multiplier] "r"(r.multiplier), [scale] "r"(r.scale), [offset] "r"(r.offset),
            [half] "r"(64));
  return (int8_t)upper;
#else
  const int64_t half = 1LL << 31;
  int64_t v = ((((int64_t)upper * r.multiplier) >> 32) + 64) & ~127LL;
  v += v < 0 ? -1 : 0;
  return td_saturate((r.offset * (half * 2) - v * r.scale + half) >> 32);
#endif
}

#endif
