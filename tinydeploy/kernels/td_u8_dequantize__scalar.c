#include "td_quantize.h"

/* From the end: in place, an element is four times as far from the start as its byte. */
void td_u8_dequantize__scalar(const td_quantize *p, const uint8_t *in, float *out, void *scratch) {
  (void)scratch;
  const int32_t zero_point = p->zero_point;
  const float scale = p->scale;
  for (uint32_t i = p->count; i > 0; --i) out[i - 1] = scale * (float)(in[i - 1] - zero_point);
}
