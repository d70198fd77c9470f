/* How the sums of int16 activations times int8 weights become int16 outputs; zero points are 0.
 *
 * TFLite accumulates in 32 bits, modulo 2^32, and rounds twice:
 *     out = clamp(requantize(sum, multiplier, shift))                    of td_fixedpoint.h
 * or in 64 bits, and rounds once, with a multiplier of 15 bits:
 *     out = clamp(floor((sum * multiplier + 2^(shift - 1)) / 2^shift) mod 2^32)
 * Where such a sum cannot leave 32 bits and 15 <= shift <= 31, the second is the first with a
 * multiplier of multiplier * 2^(31 - shift) and a shift of 0.
 */
#ifndef TD_16X8_H
#define TD_16X8_H

#include <stdint.h>

#include "td_fixedpoint.h"

/* Of an output channel with sums of 32 bits; multiplier and shift as td_requantize wants them. */
typedef struct {
  int32_t bias;
  int32_t multiplier, shift;
} td_record_16x8;

/* Of an output channel with sums of 64 bits: |sum| < 2^47, 0 <= multiplier < 2^15,
 * 8 <= shift <= 46. */
typedef struct {
  uint32_t bias_low;
  int32_t bias_high;
  int32_t multiplier, shift;
} td_wide_record_16x8;

/* So many products of int16 and int8 fit into 32 bits. */
enum { TD_RUN_16X8 = 511 };

static inline int16_t td_clamp_16(int32_t v, int32_t low, int32_t high) {
  if (v < low) v = low;
  if (v > high) v = high;
  return (int16_t)v;
}

/* sum: of the products, modulo 2^32. */
static inline int32_t td_finish_16x8(const td_record_16x8 *r, uint32_t sum) {
  return td_requantize((int32_t)(sum + (uint32_t)r->bias), r->multiplier, r->shift);
}

static inline int32_t td_finish_wide_16x8(const td_wide_record_16x8 *r, int64_t sum) {
  const uint64_t bias = (uint64_t)r->bias_low | (uint64_t)(uint32_t)r->bias_high << 32;
  const int64_t acc = (int64_t)((uint64_t)sum + bias);
  return (int32_t)((acc * r->multiplier + (1LL << (r->shift - 1))) >> r->shift);
}

#endif
