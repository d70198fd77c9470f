#include "td_rescale.h"

void td_s16_s8_rescale__scalar(const td_rescale *p, const int16_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  for (uint32_t i = 0; i < p->count; ++i) out[i] = (int8_t)td_rescaled(p, in[i]);
}
