/* Where the taps of a depthwise window lie.
 *
 * A window is walked through a table of offsets from its pixel at tap (0, 0); a tap outside the
 * input has the offset of a row of in_c elements of in_zero_point. One table serves all windows
 * that lie inside, so it is rebuilt at the border only.
 */
#ifndef TD_TAPS_H
#define TD_TAPS_H

#include <stdint.h>
#include <string.h>

#include "td_depthwise_conv_2d.h"
#include "td_element.h"

typedef struct {
  intptr_t *offsets;     /* [taps] */
  const int8_t *outside; /* in_c elements of in_zero_point */
  uintptr_t origin;      /* the window's pixel at tap (0, 0); may itself lie outside */
  int32_t inside;        /* the table is the one of windows inside */
} td_taps;

/* Channel 0 of a tap: an offset of the table, seen from `origin`. Integers, because neither the
 * origin nor the offset need stay within one array. */
static inline const int8_t *td_tap(uintptr_t origin, intptr_t offset) {
  return (const int8_t *)(origin + (uintptr_t)offset);
}

/* Bytes of a pixel. */
static inline int32_t td_taps_pixel(const td_depthwise_conv_2d *p) {
  return p->in_c * (int32_t)sizeof(td_element);
}

/* memory: 8 bytes a tap and a pixel, 8-byte aligned. int16: in_zero_point is 0. */
static inline td_taps td_taps_init(const td_depthwise_conv_2d *p, void *memory) {
  int8_t *outside = (int8_t *)memory + 8 * p->kernel_h * p->kernel_w;
  memset(outside, p->in_zero_point, (size_t)td_taps_pixel(p));
  td_taps t = {memory, outside, 0, 0};
  return t;
}

/* Moves the table to the window of output pixel (y, x) of `image`. */
static inline void td_taps_move(const td_depthwise_conv_2d *p, td_taps *t, const int8_t *image,
                                int32_t y, int32_t x) {
  const int32_t pixel = td_taps_pixel(p);
  const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
  const int32_t inside = top >= 0 && top + (p->kernel_h - 1) * p->dilation_h < p->in_h &&
                         left >= 0 && left + (p->kernel_w - 1) * p->dilation_w < p->in_w;
  intptr_t *offset = t->offsets;
  t->origin = (uintptr_t)image + (uintptr_t)((intptr_t)(top * p->in_w + left) * pixel);
  if (inside && t->inside) return;
  t->inside = inside;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t v = ky * p->dilation_h;
    for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
      const int32_t u = kx * p->dilation_w;
      const int32_t there =
          top + v >= 0 && top + v < p->in_h && left + u >= 0 && left + u < p->in_w;
      *offset++ = there ? (intptr_t)(v * p->in_w + u) * pixel
                        : (intptr_t)((uintptr_t)t->outside - t->origin);
    }
  }
}

#endif
