#include "td_bytes.h"
#include "td_lut.h"

void td_s8_clamp__dsp(const td_limits *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  const int32_t low = p->low, high = p->high;
  const uint32_t lows = td_repeat_byte(low), highs = td_repeat_byte(high);
  const int8_t *x = in;
  int8_t *y = out;
  uint32_t n = p->count;
  for (; n >= 4; n -= 4) {
    td_store4(y, td_min_bytes(td_max_bytes(td_load4(x), lows), highs));
    x += 4;
    y += 4;
  }
  for (; n > 0; --n) {
    const int32_t value = *x++;
    *y++ = (int8_t)(value < low ? low : value > high ? high : value);
  }
}
