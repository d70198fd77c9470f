/* Inner products of int16 activations with int8 weights, and how they become int16 outputs.
 *
 * A layer accumulates in 64 bits (`wide`) and rounds once, or in 32 bits, modulo 2^32, and rounds
 * twice as 8-bit layers do:
 *
 *     wide:    out = clamp(floor((a * multiplier + 2^(shift - 1)) / 2^shift) mod 2^32)
 *     else:    out = clamp(requantize(a mod 2^32, multiplier, shift))    of td_fixedpoint.h
 *
 * with a = bias + sum of products. Zero points are 0.
 */
#ifndef TD_16X8_H
#define TD_16X8_H

#include <stdint.h>

#include "td_fixedpoint.h"

/* So many products of int16 and int8 fit into 32 bits; a multiple of 4. */
enum { TD_RUN_16X8 = 508 };

/* Of an output channel; |a| < 2^47, 0 <= multiplier < 2^15 and 8 <= shift <= 46 where wide. */
typedef struct {
  uint32_t bias_low;
  int32_t bias_high;
  int32_t multiplier, shift;
} td_record_16x8;

/* What a layer does with all its sums. */
typedef struct {
  int32_t wide;
  int32_t low, high; /* -2^15 <= low <= high < 2^15 */
} td_finish_16x8;

static inline int16_t td_finish_sum_16x8(const td_finish_16x8 *p, const td_record_16x8 *r,
                                         int64_t sum) {
  const uint64_t bias = (uint64_t)r->bias_low | (uint64_t)(uint32_t)r->bias_high << 32;
  const int64_t acc = (int64_t)((uint64_t)sum + bias);
  int32_t v;
  if (p->wide) {
    v = (int32_t)((acc * r->multiplier + (1LL << (r->shift - 1))) >> r->shift);
  } else {
    v = td_requantize((int32_t)acc, r->multiplier, r->shift);
  }
  if (v < p->low) v = p->low;
  if (v > p->high) v = p->high;
  return (int16_t)v;
}

#endif
