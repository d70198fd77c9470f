/* TRANSPOSE, of elements of any size: all sizes and moves are in bytes.
 *
 * The output is written in order: rows of `row` bytes, `line` of them each `step` further on in the
 * input, and `loops` moves where the next line begins in the input.
 *
 * Arguments:
 *     p: row and line at least 1; every row lies inside the input.
 *     in: any alignment.
 *     out: as many bytes as `in`, any alignment, must not overlap it.
 *     scratch: not used.
 */
#ifndef TD_TRANSPOSE_H
#define TD_TRANSPOSE_H

#include <stdint.h>

#include "td_loops.h"

typedef struct {
  int32_t row;
  int32_t line;
  int32_t step;
  int32_t loop_count;   /* at most TD_LOOPS_MOST */
  const int32_t *loops; /* [loop_count][2], see td_loops.h; NULL where there is none */
} td_transpose;

void td_s8_transpose__scalar(const td_transpose *p, const void *in, void *out, void *scratch);
/* row is 1, and 0 <= 7 * step <= 65535. */
void td_s8_transpose_bytes__mve(const td_transpose *p, const void *in, void *out, void *scratch);

#endif
