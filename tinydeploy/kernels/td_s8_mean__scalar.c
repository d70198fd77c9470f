#include "td_fixedpoint.h"
#include "td_mean.h"

void td_s8_mean__scalar(const td_mean *p, const int8_t *in, int8_t *out, void *scratch) {
  int32_t *const sums = scratch;
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
    out[i] = td_offset_and_clamp(mean, p->zero_point, -128, 127);
  }
}
