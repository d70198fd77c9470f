#include "td_quantize.h"

void td_f32_quantize__scalar(const td_quantize *p, const float *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_quantize_all(p, in, out);
}
