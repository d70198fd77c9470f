#define TD_ELEMENT int16_t
#define TD_MVE_16X8
#include "td_mve_depthwise_conv_2d.h"

void td_s16_depthwise_conv_2d__mve(const td_depthwise_conv_2d *p, const int16_t *in, int16_t *out,
                                   void *scratch) {
  td_mve_depthwise_conv_2d(p, in, out, scratch);
}
