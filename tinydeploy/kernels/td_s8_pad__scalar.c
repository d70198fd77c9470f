#include <string.h>

#include "td_pad.h"

void td_s8_pad__scalar(const td_pad *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  int32_t turns[TD_LOOPS_MOST] = {0};
  memset(out, (int)p->value, (size_t)p->out_bytes);
  out += p->start;
  for (;;) {
    memcpy(out, in, (size_t)p->row);
    in += p->row;
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) return;
    out += moves[1];
  }
}
