#include "td_sigmoid.h"

void td_s16_tanh__scalar(const td_sigmoid *p, const int16_t *in, int16_t *out, void *scratch) {
  (void)scratch;
  for (uint32_t i = 0; i < p->count; ++i) {
    const int32_t x = td_sigmoid_steps(p, in[i]);
    const int32_t y = td_sigmoid_at(p, x < 0 ? -x : x, 8, 0xffff << 8) - (1 << 23); /* 2^23 is 1 */
    out[i] = (int16_t)((x < 0 ? 127 - y : y + 128) >> 8);
  }
}
