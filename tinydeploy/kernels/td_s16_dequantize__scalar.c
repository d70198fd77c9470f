#define TD_ELEMENT int16_t
#include "td_quantize.h"

void td_s16_dequantize__scalar(const td_quantize *p, const int16_t *in, float *out, void *scratch) {
  (void)scratch;
  td_dequantize_all(p, in, out);
}
