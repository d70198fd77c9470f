#define STRIDE 1
#include "td_depthwise_3x3.h"

void td_s8_depthwise_conv_2d_3x3_rows__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                           int8_t *out, void *scratch) {
  depthwise_3x3(p, in, out, scratch);
}
