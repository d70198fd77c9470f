#include <string.h>

#include "td_transpose.h"

/* Copies a line of single bytes, which a transposition of int8 mostly is. */
static int8_t *gather(const int8_t *from, int32_t step, int32_t count, int8_t *to) {
  for (; count > 0; --count, from += step) *to++ = *from;
  return to;
}

void td_s8_transpose__scalar(const td_transpose *p, const void *in, void *out, void *scratch) {
  const int8_t *from = in;
  int8_t *to = out;
  (void)scratch;
  int32_t turns[TD_LOOPS_MOST] = {0};
  for (;;) {
    if (p->row == 1) {
      to = gather(from, p->step, p->line, to);
    } else {
      for (int32_t i = 0; i < p->line; ++i, to += p->row) {
        memcpy(to, from + i * p->step, (size_t)p->row);
      }
    }
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) return;
    from += moves[1];
  }
}
