/* More of the DSP extension, for kernels that work on bytes and halves side by side: one
 * instruction each there, and the same meaning in portable C elsewhere.
 *
 * "Bytes" is a word of four int8, "halves" a word of two int16; element 0 is the least significant.
 */
#ifndef TD_BYTES_H
#define TD_BYTES_H

#include "td_simd.h"

/* Element 0 or 1 of halves, sign-extended. */
static inline int32_t td_low_half(uint32_t halves) { return (int16_t)(halves & 0xffff); }
static inline int32_t td_high_half(uint32_t halves) { return (int32_t)halves >> 16; }

/* The low 16 bits of two values. */
static inline uint32_t td_pack_halves(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
}

/* To the right, 0 < bits < 32. */
static inline uint32_t td_rotate(uint32_t word, uint32_t bits) {
  return (word >> bits) | (word << (32 - bits));
}

/* halves[0] + bytes[0], halves[1] + bytes[2], both mod 2^16. Bytes 1 and 3: rotate by 8 first. */
static inline uint32_t td_sxtab16(uint32_t halves, uint32_t bytes) {
#ifdef TD_HAS_DSP
  return (uint32_t)__sxtab16((int16x2_t)halves, (int8x4_t)bytes);
#else
  const int32_t low = td_low_half(halves) + (int8_t)(bytes & 0xff);
  const int32_t high = td_high_half(halves) + (int8_t)(bytes >> 16 & 0xff);
  return td_pack_halves(low, high);
#endif
}

/* a[0] * b[0], a[1] * b[1] */
static inline int32_t td_smulbb(uint32_t a, uint32_t b) { return td_low_half(a) * td_low_half(b); }
static inline int32_t td_smultt(uint32_t a, uint32_t b) {
  return td_high_half(a) * td_high_half(b);
}

/* sum + floor(factor * halves[0] / 2^16), and with halves[1]; the sum must not overflow. */
static inline int32_t td_smlawb(int32_t factor, uint32_t halves, int32_t sum) {
#ifdef TD_HAS_DSP
  return __smlawb(factor, (int32_t)halves, sum);
#else
  return sum + (int32_t)((int64_t)factor * td_low_half(halves) >> 16);
#endif
}

static inline int32_t td_smlawt(int32_t factor, uint32_t halves, int32_t sum) {
#ifdef TD_HAS_DSP
  return __smlawt(factor, (int32_t)halves, sum);
#else
  return sum + (int32_t)((int64_t)factor * td_high_half(halves) >> 16);
#endif
}

/* sum + floor(a * b / 2^32); the sum must not overflow. */
static inline int32_t td_smmla(int32_t a, int32_t b, int32_t sum) {
  return sum + (int32_t)((int64_t)a * b >> 32);
}

/* Both halves, neither below -128 nor above 127. GCC's own macro converts carelessly. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static inline uint32_t td_saturate_halves(uint32_t halves) {
#ifdef TD_HAS_DSP
  return (uint32_t)__ssat16((int16x2_t)halves, 8);
#else
  const int32_t low = td_low_half(halves), high = td_high_half(halves);
  return td_pack_halves(low < -128  ? -128
                        : low > 127 ? 127
                                    : low,
                        high < -128  ? -128
                        : high > 127 ? 127
                                     : high);
#endif
}
#pragma GCC diagnostic pop

#ifndef TD_HAS_DSP
/* 0xff in each byte where a >= b, as int8. */
static inline uint32_t td_bytes_not_below(uint32_t a, uint32_t b) {
  uint32_t mask = 0;
  for (uint32_t bit = 0; bit < 32; bit += 8) {
    if ((int8_t)(a >> bit & 0xff) >= (int8_t)(b >> bit & 0xff)) mask |= 0xffu << bit;
  }
  return mask;
}
#endif

/* Byte by byte, the larger and the smaller: two instructions. */
static inline uint32_t td_max_bytes(uint32_t a, uint32_t b) {
#ifdef TD_HAS_DSP
  (void)__ssub8((int8x4_t)a, (int8x4_t)b);
  return (uint32_t)__sel((uint8x4_t)a, (uint8x4_t)b);
#else
  const uint32_t mask = td_bytes_not_below(a, b);
  return (a & mask) | (b & ~mask);
#endif
}

static inline uint32_t td_min_bytes(uint32_t a, uint32_t b) {
#ifdef TD_HAS_DSP
  (void)__ssub8((int8x4_t)a, (int8x4_t)b);
  return (uint32_t)__sel((uint8x4_t)b, (uint8x4_t)a);
#else
  const uint32_t mask = td_bytes_not_below(a, b);
  return (b & mask) | (a & ~mask);
#endif
}

/* Four bytes of a value. */
static inline uint32_t td_repeat_byte(int32_t value) {
  return (uint32_t)(value & 0xff) * 0x01010101u;
}

/* Bytes 0 and 2 from the low bytes of `even`'s halves, 1 and 3 from those of `odd`. */
static inline uint32_t td_pack_bytes(uint32_t even, uint32_t odd) {
  return (even & 0x00ff00ffu) | (odd & 0x00ff00ffu) << 8;
}

#endif
