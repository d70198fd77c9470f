/* PAD, of elements of any size: all sizes and moves are in bytes.
 *
 * out = bytes of `value` everywhere, but for the input's rows of `row` bytes: the first goes to
 * out + start, and `loops` moves the place of the next ones.
 *
 * Arguments:
 *     p: row and out_bytes at least 1; every row lies inside the output.
 *     in: any alignment.
 *     out: [out_bytes], any alignment, must not overlap `in`.
 *     scratch: not used.
 */
#ifndef TD_PAD_H
#define TD_PAD_H

#include <stdint.h>

#include "td_loops.h"

typedef struct {
  int32_t value;
  int32_t out_bytes;
  int32_t start;
  int32_t row;
  int32_t loop_count;   /* at most TD_LOOPS_MOST */
  const int32_t *loops; /* [loop_count][2], see td_loops.h; NULL where there is none */
} td_pad;

void td_s8_pad__scalar(const td_pad *p, const void *in, void *out, void *scratch);
void td_s8_pad__mve(const td_pad *p, const void *in, void *out, void *scratch);

#endif
