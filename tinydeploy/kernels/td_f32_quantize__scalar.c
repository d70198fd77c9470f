#include "td_quantize.h"

/* round(x), halves away from zero, limited to [-256, 256]; 0 for NaN */
static inline int32_t round_limited(float x) {
  if (x >= 256.0f) return 256;
  if (x <= -256.0f) return -256;
  if (x != x) return 0;
  const int32_t whole = (int32_t)x;
  const float rest = x - (float)whole; /* exact */
  if (rest >= 0.5f) return whole + 1;
  if (rest <= -0.5f) return whole - 1;
  return whole;
}

void td_f32_quantize__scalar(const td_quantize *p, const float *in, int8_t *out, void *scratch) {
  (void)scratch;
  const uint32_t count = p->count;
  const int32_t zero_point = p->zero_point;
  const float scale = p->scale;
  for (uint32_t i = 0; i < count; ++i) {
    int32_t y = round_limited(in[i] / scale) + zero_point;
    if (y < -128) y = -128;
    if (y > 127) y = 127;
    out[i] = (int8_t)y;
  }
}
