#include "td_lut.h"

static inline int8_t clamp(int32_t x, int32_t low, int32_t high) {
  if (x < low) x = low;
  if (x > high) x = high;
  return (int8_t)x;
}

void td_s8_clamp__scalar(const td_limits *p, const void *in, void *out, void *scratch) {
  (void)scratch;
  const int32_t low = p->low, high = p->high;
  const int8_t *x = in;
  int8_t *y = out;
  for (uint32_t n = p->count; n > 0; --n) *y++ = clamp(*x++, low, high);
}
