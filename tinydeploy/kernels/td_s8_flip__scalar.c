#include "td_lut.h"

void td_s8_flip__scalar(const td_flip *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  const uint8_t *x = in;
  uint8_t *y = out;
  uint32_t n = p->count;
  for (; n >= 4; n -= 4) {
    uint32_t word;
    __builtin_memcpy(&word, x, 4);
    word ^= 0x80808080u;
    __builtin_memcpy(y, &word, 4);
    x += 4;
    y += 4;
  }
  for (; n > 0; --n) *y++ = *x++ ^ 0x80u;
}
