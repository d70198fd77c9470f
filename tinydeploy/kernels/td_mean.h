/* MEAN, int8 or int16.
 *
 * out = clamp(requantize(sum of the inputs + offset, multiplier, shift) + zero_point), to the
 * limits of the type
 *
 * with requantize() of td_fixedpoint.h. The offset takes the input's zero point off every element,
 * and the number of elements is in the multiplier.
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1.
 *     in: int8, or int16 for s16.
 *     out: of the same type, must not overlap `in`.
 *     scratch: int32 [outputs] for td_mean, not used for td_mean_pixels.
 */
#ifndef TD_MEAN_H
#define TD_MEAN_H

#include <stdint.h>

#include "td_element.h"
#include "td_fixedpoint.h"
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
void td_s16_mean__scalar(const td_mean *p, const int16_t *in, int16_t *out, void *scratch);
void td_s8_mean_pixels__dsp(const td_mean_pixels *p, const int8_t *in, int8_t *out, void *scratch);
/* shift < 0 */
void td_s8_mean_pixels__mve(const td_mean_pixels *p, const int8_t *in, int8_t *out, void *scratch);

static inline void td_mean_all(const td_mean *p, const td_element *in, td_element *out,
                               int32_t *sums) {
  int32_t *sum = sums;
  int32_t turns[TD_LOOPS_MOST] = {0};
  for (int32_t i = 0; i < p->outputs; ++i) sums[i] = p->offset;
  for (;;) {
    for (int32_t i = 0; i < p->row; ++i) sum[i * p->step] += *in++;
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) break;
    sum += moves[1];
  }
  for (int32_t i = 0; i < p->outputs; ++i) {
    const int32_t mean = td_requantize(sums[i], p->multiplier, p->shift);
    out[i] = td_offset_and_clamp(mean, p->zero_point, TD_ELEMENT_MIN, TD_ELEMENT_MAX);
  }
}

#endif
