/* Operators that rescale each element on its own: RELU, RELU6 and LEAKY_RELU of int16, QUANTIZE
 * between int16 and int16 or int8.
 *
 * With v = in[i] - in_zero_point and `requantize` of td_fixedpoint.h,
 *     out[i] = clamp(out_zero_point + requantize(v, above), low, high)             v >= 0
 *     out[i] = clamp(out_zero_point + sign * requantize(v, below), low, high)      v < 0
 *
 * Arguments of every kernel:
 *     p: count >= 1; low and high within the output's type; sign is 1 or -1.
 *     in, out: `count` elements; out may begin where in begins unless its elements are larger.
 *     scratch: unused.
 */
#ifndef TD_RESCALE_H
#define TD_RESCALE_H

#include <stdint.h>

#include "td_fixedpoint.h"

typedef struct {
  int32_t multiplier, shift; /* -31 <= shift <= 30 */
} td_factor;

typedef struct {
  uint32_t count;
  int32_t in_zero_point, out_zero_point;
  td_factor above, below;
  int32_t sign;
  int32_t low, high;
} td_rescale;

void td_s16_rescale__scalar(const td_rescale *p, const int16_t *in, int16_t *out, void *scratch);
void td_s16_s8_rescale__scalar(const td_rescale *p, const int16_t *in, int8_t *out, void *scratch);
void td_s8_s16_rescale__scalar(const td_rescale *p, const int8_t *in, int16_t *out, void *scratch);

typedef struct {
  uint32_t count;
  int32_t low, high;
} td_s16_limits;

/* out[i] = min(max(in[i], low), high) */
void td_s16_clamp__scalar(const td_s16_limits *p, const int16_t *in, int16_t *out, void *scratch);

/* The output for one element. */
static inline int32_t td_rescaled(const td_rescale *p, int32_t x) {
  const int32_t v = x - p->in_zero_point;
  const int32_t scaled = v >= 0 ? td_requantize(v, p->above.multiplier, p->above.shift)
                                : p->sign * td_requantize(v, p->below.multiplier, p->below.shift);
  const int32_t y = (int32_t)((uint32_t)scaled + (uint32_t)p->out_zero_point);
  return y < p->low ? p->low : y > p->high ? p->high : y;
}

#endif
