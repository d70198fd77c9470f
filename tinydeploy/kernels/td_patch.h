/* The input of one output pixel of a convolution as a row of bytes, in the order of the weights. */
#ifndef TD_PATCH_H
#define TD_PATCH_H

#include <stdint.h>
#include <string.h>

#include "td_conv_2d.h"
#include "td_copy.h"

static inline int32_t td_conv_2d_patch_bytes(const td_conv_2d *p) {
  return p->kernel_h * p->row_bytes;
}

/* The patch at (top, left): in place where it is a single row inside the image, else
 * gathered into `column` with in_zero_point where it lies outside.
 *
 *     image: [in_h, in_w, in_c], from the first channel of the group on.
 *     column: [patch], where to gather; any alignment. What is between its rows is left alone.
 */
static inline const int8_t *td_patch_at(const td_conv_2d *p, const int8_t *image, int32_t top,
                                        int32_t left, int8_t *column) {
  const int32_t depth = p->in_c / p->groups;
#ifdef __OPTIMIZE_SIZE__
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t v = top + ky * p->dilation_h;
    int8_t *to = column + ky * p->row_bytes;
    for (int32_t kx = 0; kx < p->kernel_w; ++kx, to += depth) {
      const int32_t u = left + kx * p->dilation_w;
      if (v < 0 || v >= p->in_h || u < 0 || u >= p->in_w) {
        memset(to, p->in_zero_point, (uint32_t)depth);
      } else {
        memcpy(to, image + (v * p->in_w + u) * p->in_c, (uint32_t)depth);
      }
    }
  }
  return column;
#else
  const int32_t right = left + (p->kernel_w - 1) * p->dilation_w + 1;
  const int32_t whole_rows = p->dilation_w == 1 && p->groups == 1;

  if (p->kernel_h == 1 && (whole_rows || p->kernel_w == 1) && left >= 0 && right <= p->in_w &&
      top >= 0 && top < p->in_h) {
    return image + (top * p->in_w + left) * p->in_c;
  }
  if (whole_rows && top >= 0 && left >= 0 && right <= p->in_w &&
      top + (p->kernel_h - 1) * p->dilation_h < p->in_h) {
    const int8_t *from = image + (top * p->in_w + left) * depth;
    const int32_t bytes = p->kernel_w * depth, to_step = p->row_bytes;
    const int32_t from_step = p->dilation_h * p->in_w * depth;
    int8_t *to = column;
    for (int32_t ky = p->kernel_h; ky > 0; --ky, to += to_step, from += from_step) {
      td_copy(to, from, bytes);
    }
    return column;
  }
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t v = top + ky * p->dilation_h;
    int8_t *to = column + ky * p->row_bytes;
    if (v < 0 || v >= p->in_h) {
      td_fill(to, p->in_zero_point, p->kernel_w * depth);
    } else if (whole_rows) {
      const int32_t before = left < 0 ? -left : 0;
      const int32_t after = right > p->in_w ? right - p->in_w : 0;
      const int8_t *from = image + (v * p->in_w + left + before) * depth;
      to = td_fill(to, p->in_zero_point, before * depth);
      to = td_copy(to, from, (p->kernel_w - before - after) * depth);
      td_fill(to, p->in_zero_point, after * depth);
    } else {
      for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
        const int32_t u = left + kx * p->dilation_w;
        to = u < 0 || u >= p->in_w ? td_fill(to, p->in_zero_point, depth)
                                   : td_copy(to, image + (v * p->in_w + u) * p->in_c, depth);
      }
    }
  }
  return column;
#endif
}

/* The patch of output pixel (y, x). */
static inline const int8_t *td_patch(const td_conv_2d *p, const int8_t *image, int32_t y, int32_t x,
                                     int8_t *column) {
  return td_patch_at(p, image, y * p->stride_h - p->pad_h, x * p->stride_w - p->pad_w, column);
}

#endif
