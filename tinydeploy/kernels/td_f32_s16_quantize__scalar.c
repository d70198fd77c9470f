#define TD_ELEMENT int16_t
#include "td_quantize.h"

void td_f32_s16_quantize__scalar(const td_quantize *p, const float *in, int16_t *out,
                                 void *scratch) {
  (void)scratch;
  td_quantize_all(p, in, out);
}
