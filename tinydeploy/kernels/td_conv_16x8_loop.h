/* What the kernels of CONV_2D for int16 share: all but the inner product. */
#ifndef TD_CONV_16X8_LOOP_H
#define TD_CONV_16X8_LOOP_H

#include "td_conv_16x8.h"

/* The outputs of one group of a pixel.
 *
 *     from: its patch, `packed` values. weights: of the group. channel: its first output channel.
 */
typedef void td_channels_16x8(const td_conv_16x8 *p, const int16_t *from, int32_t packed,
                              const int8_t *weights, int32_t channel, int16_t *out);

/* Copies `count` values of pixel (v, u), or zeros where it lies outside. */
static inline int16_t *td_copy_16x8(const td_conv_16x8 *p, const int16_t *image, int32_t v,
                                    int32_t u, int32_t count, int16_t *to) {
  if (v < 0 || v >= p->in_h || u < 0 || u >= p->in_w) {
    while (count-- > 0) *to++ = 0;
  } else {
    const int16_t *from = image + (v * p->in_w + u) * p->in_c;
    while (count-- > 0) *to++ = *from++;
  }
  return to;
}

/* The patch of output pixel (y, x), gathered into `column` [patch] where it does not lie in one
 * piece. `image` begins with the first channel of the group. */
static inline const int16_t *td_patch_16x8(const td_conv_16x8 *p, const int16_t *image, int32_t y,
                                           int32_t x, int16_t *column) {
  const int32_t depth = p->in_c / p->groups;
  const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
  const int32_t right = left + (p->kernel_w - 1) * p->dilation_w;
  const int32_t in_rows = left >= 0 && right < p->in_w && p->dilation_w == 1 && p->groups == 1;
  int16_t *to = column;
  if (p->kernel_h * p->kernel_w == 1 && top >= 0 && top < p->in_h && left >= 0 && left < p->in_w) {
    return image + (top * p->in_w + left) * p->in_c;
  }
  for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
    const int32_t v = top + ky * p->dilation_h;
    if (in_rows) {
      to = td_copy_16x8(p, image, v, left, p->kernel_w * depth, to);
      continue;
    }
    for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
      to = td_copy_16x8(p, image, v, left + kx * p->dilation_w, depth, to);
    }
  }
  return column;
}

/* packed: the patch, rounded up to what `channels` takes at a time. */
static inline void td_conv_16x8_all(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                    int16_t *column, int32_t packed, td_channels_16x8 *channels) {
  const int32_t depth = p->in_c / p->groups, patch = p->kernel_h * p->kernel_w * depth;
  const int32_t filters = p->out_c / p->groups, weights = ((filters + 3) & ~3) * packed;
  for (int32_t i = patch; i < packed; ++i) column[i] = 0;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x) {
        for (int32_t g = 0; g < p->groups; ++g, out += filters) {
          const int16_t *from = td_patch_16x8(p, in + g * depth, y, x, column);
          if (from != column && patch < packed) {
            __builtin_memcpy(column, from, (uint32_t)patch * sizeof *from);
            from = column;
          }
          channels(p, from, packed, p->weights + g * weights, g * filters, out);
        }
      }
    }
  }
}

#endif
