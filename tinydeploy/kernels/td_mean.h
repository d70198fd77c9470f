/* MEAN, int8.
 *
 * out = clamp(requantize(sum of the inputs + offset, multiplier, shift) + zero_point, -128, 127)
 *
 * with requantize() of td_fixedpoint.h. The offset takes the input's zero point off every element,
 * and the number of elements is in the multiplier.
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1.
 *     in: int8, any alignment.
 *     out: int8, any alignment, must not overlap `in`.
 *     scratch: int32 [outputs] for td_mean, not used for td_mean_pixels.
 */
#ifndef TD_MEAN_H
#define TD_MEAN_H

#include <stdint.h>

#include "td_loops.h"

/* Any axes. The input is read from its first element to its last, in rows that go into one output
 * (step 0) or into as many as they have elements (step 1). */
typedef struct {
  int32_t outputs;
  int32_t row;
  int32_t step;
  int32_t loop_count;   /* at most TD_LOOPS_MOST */
  const int32_t *loops; /* [loop_count][2], the output's moves, see td_loops.h; or NULL */
  int32_t offset;
  int32_t multiplier, shift;
  int32_t zero_point;
} td_mean;

/* int8 [batches, pixels, channels] -> [batches, channels], at most 256 pixels. */
typedef struct {
  int32_t batches, pixels, channels;
  int32_t offset;
  int32_t multiplier, shift;
  int32_t zero_point;
} td_mean_pixels;

void td_s8_mean__scalar(const td_mean *p, const int8_t *in, int8_t *out, void *scratch);
void td_s8_mean_pixels__dsp(const td_mean_pixels *p, const int8_t *in, int8_t *out, void *scratch);

#endif
