/* Requantisation: the C twin of tinydeploy/fixedpoint.py, bit for bit.
 *
 * An accumulator becomes an output by two roundings of TFLite's 8-bit specification:
 *
 *     high(a, m)    = floor((a * m + 2^30) / 2^31)               0 <= m < 2^31
 *     divide(v, r)  = v / 2^r, to nearest, halves away from zero
 *     requantize(a) = divide(high(a * 2^left mod 2^32, m), right)   left or right is 0
 *
 * gemmlowp defines `high` with a nudge that depends on the product's sign and a division that
 * truncates. For m >= 0 both come to the floor above: below zero, trunc((p + 1 - 2^30) / 2^31) is
 * ceil((p + 1 - 2^30) / 2^31), which is floor((p + 2^30) / 2^31).
 */
#ifndef TD_FIXEDPOINT_H
#define TD_FIXEDPOINT_H

#include <stdint.h>

#if defined(__thumb__) && !defined(__thumb2__)
/* r1 = high(r0, r1 / 2) of twice a multiplier. Changes r0, r4, r5 and r6.
 *
 * Armv6-M multiplies 32 x 32 -> 32 only: four 16 x 16 products. With a = ah 2^16 + al, and the
 * multiplier likewise, a m = ah mh 2^32 + (ah ml + al mh) 2^16 + al ml; the low half of al ml
 * cannot reach the rounding's bit, which is the one below those that are kept. */
#define TD_MULTIPLY_HIGH \
  ".syntax unified\n\t"  \
  "uxth r4, r0\n\t"      \
  "asrs r0, r0, #16\n\t" \
  "uxth r5, r1\n\t"      \
  "lsrs r1, r1, #16\n\t" \
  "movs r6, r4\n\t"      \
  "muls r6, r5, r6\n\t"  \
  "muls r4, r1, r4\n\t"  \
  "muls r5, r0, r5\n\t"  \
  "muls r1, r0, r1\n\t"  \
  "lsrs r6, r6, #16\n\t" \
  "adds r4, r4, r6\n\t"  \
  "lsls r6, r4, #16\n\t" \
  "lsrs r4, r4, #16\n\t" \
  "asrs r0, r5, #16\n\t" \
  "lsls r5, r5, #16\n\t" \
  "adds r6, r6, r5\n\t"  \
  "adcs r1, r1, r0\n\t"  \
  "adds r6, r6, r6\n\t"  \
  "adcs r1, r1, r4\n\t"

/* high(a, m): any a, 0 <= m < 2^31. A call: it takes most of the registers. */
static __attribute__((noinline, unused)) int32_t td_multiply_high(int32_t a, int32_t m) {
  register int32_t r0 __asm__("r0") = a;
  register int32_t r1 __asm__("r1") = (int32_t)((uint32_t)m << 1);
  __asm__(TD_MULTIPLY_HIGH : "+r"(r0), "+r"(r1) : : "r4", "r5", "r6", "cc");
  return r1;
}
#else
/* high(a, m): any a, 0 <= m < 2^31. */
static inline int32_t td_multiply_high(int32_t a, int32_t m) {
  return (int32_t)(((int64_t)a * m + (1 << 30)) >> 31);
}
#endif

/* divide(v, r): any v > INT32_MIN, 0 <= r <= 31. Halving in two steps cannot overflow. */
static inline int32_t td_divide_by_power_of_two(int32_t v, int32_t r) {
  if (r == 0) return v;
  return (((v + (v >> 31)) >> (r - 1)) + 1) >> 1;
}

/* requantize(a): any a, 0 <= m < 2^31, -31 <= shift <= 30; a positive shift is `left`. */
static inline int32_t td_requantize(int32_t a, int32_t m, int32_t shift) {
  if (shift >= 0) return td_multiply_high((int32_t)((uint32_t)a << shift), m);
  return td_divide_by_power_of_two(td_multiply_high(a, m), -shift);
}

/* v + offset (mod 2^32), saturated to int8. */
static inline int8_t td_offset_and_saturate(int32_t v, int32_t offset) {
  v = (int32_t)((uint32_t)v + (uint32_t)offset);
#ifdef __ARM_FEATURE_SAT
  __asm__("ssat %0, #8, %0" : "+r"(v)); /* GCC finds it in no way of writing it */
#else
  if (v < -128) v = -128;
  if (v > 127) v = 127;
#endif
  return (int8_t)v;
}

/* A call, for channels that are few: its arguments as in td_requantize_to_int8. */
static __attribute__((noinline, unused)) int32_t td_requantize_any(int32_t a, int32_t doubled,
                                                                   int32_t right, int32_t offset) {
  const int32_t v = td_requantize(a, (int32_t)((uint32_t)doubled >> 1), -right);
  return td_offset_and_saturate(v, offset);
}

#if defined(__thumb__) && !defined(__thumb2__) && !defined(__OPTIMIZE_SIZE__)
/* td_requantize_to_int8 of a channel that shifts to the right. */
static __attribute__((noinline, unused)) int32_t td_requantize_right(int32_t a, int32_t doubled,
                                                                     int32_t right,
                                                                     int32_t offset) {
  register int32_t r0 __asm__("r0") = a;
  register int32_t r1 __asm__("r1") = doubled;
  register int32_t r2 __asm__("r2") = right;
  register int32_t r3 __asm__("r3") = offset;
  /* `divide`: what rounding adds is the bit that the shift drops last. */
  __asm__(TD_MULTIPLY_HIGH
          "asrs r0, r1, #31\n\t"
          "adds r1, r1, r0\n\t"
          "asrs r1, r1, r2\n\t"
          "adcs r1, r1, r3\n\t"
          "sxtb r0, r1\n\t"
          "cmp r0, r1\n\t"
          "beq 1f\n\t"
          "asrs r1, r1, #31\n\t"
          "movs r0, #127\n\t"
          "eors r0, r0, r1\n"
          "1:\n"
          : "+r"(r0), "+r"(r1)
          : "r"(r2), "r"(r3)
          : "r4", "r5", "r6", "cc");
  return r0;
}
#endif

/* offset + requantize(a), saturated to int8, of a channel that is stored as two numbers: twice its
 * multiplier, modulo 2^32, and how far it shifts to the right. Any a; where right > 0, the
 * multiplier is at least 2^30. */
static inline int32_t td_requantize_to_int8(int32_t a, int32_t doubled, int32_t right,
                                            int32_t offset) {
#if defined(__thumb2__)
  if (right > 0) {
    /* `divide`: what rounding adds is the bit that the shift drops last. */
    uint32_t half = 1u << 31;
    int32_t v = a;
    __asm__(
        "smlal %[half], %[v], %[a], %[doubled]\n\t"
        "add %[v], %[v], %[v], asr #31\n\t"
        "asrs %[v], %[v], %[right]\n\t"
        "adc %[v], %[v], %[offset]\n\t"
        "ssat %[v], #8, %[v]"
        : [half] "+&r"(half), [v] "+&r"(v)
        : [a] "r"(a), [doubled] "r"(doubled), [right] "r"(right), [offset] "r"(offset)
        : "cc");
    return v;
  }
#elif defined(__thumb__) && !defined(__OPTIMIZE_SIZE__)
  if (right > 0) return td_requantize_right(a, doubled, right, offset);
#endif
  return td_requantize_any(a, doubled, right, offset);
}

#ifdef __OPTIMIZE_SIZE__
/* A function of a header that is linked once. */
#define TD_SHARED __attribute__((weak, noinline))
#else
#define TD_SHARED static inline
#endif

/* In place: each of `count` bytes not below `low` and not above `high`. */
TD_SHARED void td_clamp(int8_t *data, int32_t count, int32_t low, int32_t high);
TD_SHARED void td_clamp(int8_t *data, int32_t count, int32_t low, int32_t high) {
  if (low <= -128 && high >= 127) return;
  for (const int8_t *end = data + count; data != end; ++data) {
    int32_t v = *data;
    if (v < low) v = low;
    if (v > high) v = high;
    *data = (int8_t)v;
  }
}

#endif
