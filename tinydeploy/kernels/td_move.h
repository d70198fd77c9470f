/* Moves an activation up in the arena: `to` lies above `from`, over a part of it or not; both are
 * multiples of 8, and `bytes` are rounded up to one. */
#ifndef TD_MOVE_H
#define TD_MOVE_H

#include <stdint.h>

typedef uint64_t __attribute__((may_alias)) td_eight_bytes;

static __attribute__((noinline)) void td_move(void *to, const void *from, uint32_t bytes) {
  uint32_t left = (bytes + 7) / 8;
  td_eight_bytes *t = (td_eight_bytes *)to + left;
  const td_eight_bytes *f = (const td_eight_bytes *)from + left;
  for (; left >= 4; left -= 4) {
    t -= 4;
    f -= 4;
    const uint64_t a = f[0], b = f[1], c = f[2], d = f[3];
    t[0] = a;
    t[1] = b;
    t[2] = c;
    t[3] = d;
  }
  for (; left > 0; --left) *--t = *--f;
}

#endif
