#include "td_rescale.h"

void td_s16_clamp__scalar(const td_s16_limits *p, const int16_t *in, int16_t *out, void *scratch) {
  (void)scratch;
  for (uint32_t i = 0; i < p->count; ++i) {
    const int32_t x = in[i];
    out[i] = (int16_t)(x < p->low ? p->low : x > p->high ? p->high : x);
  }
}
