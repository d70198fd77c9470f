#define TD_MVE_ANY_SCALE
#include "td_mve_conv_2d.h"

void td_s8_conv_2d_any_scale__mve(const td_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch) {
  td_mve_conv_2d(p, in, out, scratch);
}
