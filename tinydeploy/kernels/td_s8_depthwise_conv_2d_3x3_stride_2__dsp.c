#define STRIDE 2
#include "td_depthwise_3x3.h"

void td_s8_depthwise_conv_2d_3x3_stride_2__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                               int8_t *out, void *scratch) {
  depthwise_3x3(p, in, out, scratch);
}
