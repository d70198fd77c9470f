#define TD_ELEMENT uint8_t
#include "td_quantize.h"

void td_u8_dequantize__scalar(const td_quantize *p, const uint8_t *in, float *out, void *scratch) {
  (void)scratch;
  td_dequantize_all(p, in, out);
}
