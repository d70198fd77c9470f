/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, int16 with int8 weights.
 *
 * out[n, y, x, o] = requantize(bias[o] + sum over ky, kx, c of
 *     weights[o, ky, kx, c] * in[n, y * stride_h - pad_h + ky * dilation_h,
 *                                x * stride_w - pad_w + kx * dilation_w, group * group_c + c])
 *
 * with `requantize` of td_16x8.h, group = o / (out_c / groups), group_c = in_c / groups, and pixels
 * outside the input left out. A depthwise convolution has groups = in_c. A fully connected layer is
 * a 1 x 1 convolution: its batches are the pixels of one row.
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1 (pads at least 0); groups divides in_c and out_c.
 *     in: int16 [batches, in_h, in_w, in_c].
 *     out: int16 [batches, out_h, out_w, out_c]; over `in` only as the planner allows it
 *         (ops/conv_16x8.py): from the first to the last pixel.
 *     scratch: as each kernel says, 8-byte aligned.
 * `patch` is kernel_h * kernel_w * group_c, the number of weights of an output channel.
 */
#ifndef TD_CONV_16X8_H
#define TD_CONV_16X8_H

#include <stdint.h>

#include "td_16x8.h"

typedef struct {
  int32_t batches;
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w;
  int32_t groups;
  int32_t low, high; /* -2^15 <= low <= high < 2^15 */
  const int8_t *weights;
  const int32_t *requant;
} td_conv_16x8;

/* Sums of 32 bits. weights: [groups, ceil(out_c / groups / 4), patch, 4], the last index over
 * output channels, zeros where there is none. requant: [out_c] of td_record_16x8. scratch: 2 *
 * patch bytes. */
void td_s16_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch);

/* The same with sums of 64 bits. requant: [out_c] of td_wide_record_16x8. */
void td_s16_conv_2d_wide__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                 void *scratch);

/* Sums of 32 bits. weights: [groups, ceil(out_c / groups / 4), ceil(patch / 4), 4, 4], indices over
 * output channels by fours, patch by fours, output channel, weights 0, 2, 1, 3 of the four; zeros
 * where there is none; 4-byte aligned. requant: [out_c] of td_record_16x8. scratch: 2 bytes for
 * each of patch rounded up to 4. */
void td_s16_conv_2d__dsp(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch);

/* Sums of 32 bits; groups = in_c. weights: [kernel_h, kernel_w, out_c]. requant: [out_c] of
 * td_record_16x8. scratch: not used. */
void td_s16_depthwise_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                      void *scratch);

#endif
