/* FULLY_CONNECTED with Helium. */
#ifndef TD_MVE_FULLY_CONNECTED_H
#define TD_MVE_FULLY_CONNECTED_H

#include <string.h>

#include "td_fully_connected.h"
#include "td_mve.h"

static inline void td_mve_fully_connected(const td_fully_connected *p, const int8_t *in,
                                          int8_t *out, void *scratch) {
  const int32_t chunks = (p->in_depth + 15) / 16;
  td_mve_pixels pixel = {.step = 4 * p->requant_step,
                         .offset = p->out_zero_point,
                         .chunks = chunks,
                         .low = p->low,
                         .high = p->high,
                         .weights = p->weights,
                         .bias = p->folded};
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_depth, out += p->out_depth) {
    pixel.first = in;
    if (p->in_depth % 16 != 0) pixel.first = memcpy(scratch, in, (size_t)p->in_depth);
    pixel.out[0] = out;
    pixel.channels = p->out_depth;
    pixel.requant = p->requant;
    td_mve_one_pixel(&pixel);
  }
}

#endif
