#include <arm_mve.h>

#include "td_transpose.h"

/* A line: eight bytes at a time, `places` apart. */
static inline int8_t *gather(const td_transpose *p, const int8_t *from, uint16x8_t places,
                             int8_t *to) {
  int8_t *next = to;
  __asm__ volatile(
      "wlstp.16 lr, %[line], 2f\n"
      "1:\n\t"
      "vldrb.u16 q0, [%[from], %q[places]]\n\t"
      "add %[from], %[from], %[eight]\n\t"
      "vstrb.16 q0, [%[to]], #8\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [from] "+r"(from), [to] "+l"(next)
      : [line] "r"(p->line), [eight] "r"(8 * p->step), [places] "w"(places)
      : "lr", "q0", "memory");
  return to + p->line;
}

void td_s8_transpose_bytes__mve(const td_transpose *p, const void *in, void *out, void *scratch) {
  const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)p->step);
  const int8_t *from = in;
  int8_t *to = out;
  int32_t turns[TD_LOOPS_MOST] = {0};
  (void)scratch;
  for (;;) {
    to = gather(p, from, places, to);
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 2, turns);
    if (moves == NULL) return;
    from += moves[1];
  }
}
