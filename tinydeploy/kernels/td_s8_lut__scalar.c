#include "td_lut.h"

void td_s8_lut__scalar(const td_lut *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  const int8_t *const table = p->table;
  const uint8_t *x = in;
  int8_t *y = out;
  uint32_t n = p->count;
  for (; n >= 4; n -= 4) {
    const int8_t a = table[x[0]], b = table[x[1]], c = table[x[2]], d = table[x[3]];
    y[0] = a;
    y[1] = b;
    y[2] = c;
    y[3] = d;
    x += 4;
    y += 4;
  }
  for (; n > 0; --n) *y++ = table[*x++];
}
