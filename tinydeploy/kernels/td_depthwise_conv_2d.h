/* DEPTHWISE_CONV_2D, int8.
 *
 * out[n, y, x, o] = clamp(out_zero_point + requantize(bias[o] + sum over ky, kx of
 *     weights[ky, kx, o] * (in[n, y * stride_h - pad_h + ky * dilation_h,
 *                              x * stride_w - pad_w + kx * dilation_w,
 *                              o / multiplier] - in_zero_point)), low, high)
 *
 * with multiplier = out_c / in_c, `requantize` of td_fixedpoint.h, and pixels outside the input
 * left out. Sums are taken modulo 2^32. A pixel outside counts as one of in_zero_point, so the zero
 * point's share is a constant of the channel: `requant` holds
 *     folded[o] = bias[o] - in_zero_point * sum of weights[o].
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1 (pads at least 0); in_c divides out_c; -128 <= low <= high <= 127.
 *     in: int8 [batches, in_h, in_w, in_c], any alignment.
 *     out: int8 [batches, out_h, out_w, out_c], any alignment; over `in` only as the planner
 *         allows it (ops/depthwise_conv_2d.py): pixels, or rows where a kernel says so, are read
 *         and written from the first to the last, each channel for itself where in_c is out_c.
 *     scratch: as each kernel says, 8-byte aligned.
 * `taps` is kernel_h * kernel_w.
 */
#ifndef TD_DEPTHWISE_CONV_2D_H
#define TD_DEPTHWISE_CONV_2D_H

#include <stdint.h>

#include "td_sizes.h"

typedef struct {
  td_size batches;
  td_size in_h, in_w, in_c;
  td_size out_h, out_w, out_c;
  td_small kernel_h, kernel_w;
  td_small stride_h, stride_w;
  td_small dilation_h, dilation_w;
  td_small pad_h, pad_w;
  td_small in_zero_point, out_zero_point;
  td_small low, high;
  td_small transposed; /* for kernels that say so */
  const int8_t *weights;
  const int32_t *requant;
} td_depthwise_conv_2d;

/* weights: [taps, out_c]. requant: [out_c, 3] of folded, doubled, right.
 * scratch: 8 * taps + in_c bytes. */
void td_s8_depthwise_conv_2d__scalar(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                     void *scratch);

/* in_c is out_c, a multiple of 4. weights: [out_c / 4, taps, 4], 4-byte aligned. requant: [out_c]
 * of td_record (td_simd.h). scratch: 8 * taps + in_c bytes. */
void td_s8_depthwise_conv_2d__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch);

/* A kernel of 1 row without dilation, strides of 1; in_c is out_c, a multiple of 4. `transposed` as
 * below. weights: [out_c, kernel_w / 2 + 1, 4], of each pair of weights and the one before it, in
 * the order 0, -1, 1, 0, with zeros where there are none; 4-byte aligned. requant: [out_c] of
 * td_record (td_simd.h). scratch: 16 bytes for each of half of out_w, rounded up to 6, and of
 * kernel_w / 2 + 1. A line of four channels is read before it is written. */
void td_s8_depthwise_conv_2d_line__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                       void *scratch);

/* A kernel of 3 x 3 without dilation, of which at most the left or the right column lies outside;
 * in_c is out_c, a multiple of 4. weights: [out_c / 4, 3, 3, 4], 4-byte aligned. requant: for
 * four channels at a time of td_record (td_simd.h), all folded, then what else each has.
 * scratch: 21 * in_c bytes. */
void td_s8_depthwise_conv_2d_3x3__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                      void *scratch);

/* A kernel of 3 x 3 without dilation, strides of 1, of which at most a row and a column before the
 * input and a row behind it lie outside; out_w is at least 3, in_c is out_c, a multiple of 4. Where
 * p is `transposed` rows and columns have changed their names, in weights too, but the images in
 * memory are as they were. weights: [out_c, 3, 4], rows of three weights, the one in the middle
 * twice; 4-byte aligned. requant: [out_c] of td_record (td_simd.h). scratch: with the rows of the
 * input that are read, 64 * rows + 80 + 4 * ((out_w - 3) / 2) bytes. Four channels are finished
 * before the next ones, and of these strips of 3 to 6 columns of the output: with a strip its
 * columns of the input are read, and one more behind them than it writes over. */
void td_s8_depthwise_conv_2d_3x3_rows__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                           int8_t *out, void *scratch);

/* The same with strides of 2. scratch: 112 * rows + 140 + 4 * (out_w - 3) bytes. */
void td_s8_depthwise_conv_2d_3x3_stride_2__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                               int8_t *out, void *scratch);

/* in_c is out_c. weights: [ceil(out_c / 8), taps, 8], 8-byte aligned. requant: [ceil(out_c / 8)] of
 * folded and a multiplier and scale of td_mve.h, each [2, 4] of even and odd channels. scratch:
 * 8 * taps + in_c bytes. */
void td_s8_depthwise_conv_2d__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch);
/* The same with TD_MVE_ANY_SCALE of td_mve.h. */
void td_s8_depthwise_conv_2d_any_scale__mve(const td_depthwise_conv_2d *p, const int8_t *in,
                                            int8_t *out, void *scratch);

/* What td_conv_16x8.h computes, where td_16x8.h rounds once: out = clamp(high(sum, multiplier)).
 * Zero points are 0, low and high int16. As above, but requant has no scales. scratch: 8 * taps +
 * 2 * in_c bytes. in, out: 2-byte aligned. */
void td_s16_depthwise_conv_2d__mve(const td_depthwise_conv_2d *p, const int16_t *in, int16_t *out,
                                   void *scratch);

/* A kernel of 1 row and at most 13 columns without dilation, strides of 1; in_c is out_c, and a
 * line less than 9362 bytes from place to place. `transposed` as above. weights: [out_c, 16], three
 * zeros before each, then 8 zeros. requant: [out_c, 3] of folded and a scale and multiplier of
 * td_mve.h. scratch: out_w rounded up to 4 and 12 bytes. A channel of a line is read before it is
 * written. */
void td_s8_depthwise_conv_2d_line__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                       void *scratch);

/* A kernel of 3 x 3 without dilation, both strides 1 or both 2, in_c is out_c.
 * weights: [out_c, 4, 4] of column and row, the first of each all zeros; then 8 zeros. requant:
 * [out_c, 3] of folded and a scale and multiplier of td_mve.h. scratch: 64 bytes for each of
 * stride_w * (out_w rounded up to 2 with a stride of 1, to 4 with 2) + 2 columns. Rows two at a
 * time with a stride of 1. */
void td_s8_depthwise_conv_2d_3x3__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                      void *scratch);

#endif
