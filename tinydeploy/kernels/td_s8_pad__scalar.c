#include <string.h>

#include "td_pad.h"

void td_s8_pad__scalar(const td_pad *p, const void *in, void *out, void *scratch) {
  const int8_t *from = in;
  int8_t *to = out;
  (void)scratch;
  int32_t turns[TD_LOOPS_MOST] = {0};
  memset(to, (int)p->value, (size_t)p->out_bytes);
  to += p->start;
  for (;;) {
    memcpy(to, from, (size_t)p->row);
    from += p->row;
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) return;
    to += moves[1];
  }
}
