#include "td_copy.h"
#include "td_pad.h"

void td_s8_pad__mve(const td_pad *p, const void *in, void *out, void *scratch) {
  const int8_t *from = in;
  int8_t *to = out, *filled = out;
  int32_t turns[TD_LOOPS_MOST] = {0};
  (void)scratch;
  to += p->start;
  for (;;) {
    td_fill(filled, p->value, to - filled);
    filled = td_copy(to, from, p->row);
    from += p->row;
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) break;
    to += moves[1];
  }
  td_fill(filled, p->value, (int8_t *)out + p->out_bytes - filled);
}
