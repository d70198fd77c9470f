/* CONV_2D, int8, grouped or not.
 *
 * out[n, y, x, o] = clamp(out_zero_point + requantize(bias[o] + sum over ky, kx, c of
 *     weights[o, ky, kx, c] * (in[n, y * stride_h - pad_h + ky * dilation_h,
 *                                 x * stride_w - pad_w + kx * dilation_w,
 *                                 group * group_c + c] - in_zero_point)), low, high)
 *
 * with `requantize` of td_fixedpoint.h, group = o / (out_c / groups), group_c = in_c / groups, and
 * pixels outside the input left out. Sums are taken modulo 2^32. A pixel outside counts as one of
 * in_zero_point, so the zero point's share is a constant of the channel: `requant` holds
 *     folded[o] = bias[o] - in_zero_point * sum of weights[o].
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1 (pads at least 0); groups divides in_c and out_c;
 *         -128 <= low <= high <= 127.
 *     in: int8 [batches, in_h, in_w, in_c], any alignment.
 *     out: int8 [batches, out_h, out_w, out_c], any alignment; over `in` only as the planner
 *         allows it (ops/trailing.py): pixels are read and written from the first to the last.
 *     scratch: as each kernel says, 8-byte aligned.
 * `patch` is kernel_h * row_bytes, the number of weights of an output channel.
 */
#ifndef TD_CONV_2D_H
#define TD_CONV_2D_H

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
  td_size groups;
  td_size row_bytes; /* of weights: kernel_w * group_c, or more with zeros behind them */
  td_size strip;     /* for dsp and mve */
  td_small in_zero_point, out_zero_point;
  td_small low, high;
  const int8_t *weights;
  const int32_t *requant;
} td_conv_2d;

/* row_bytes is exact. weights: [groups, ceil(out_c / groups / 4), quads, 4, 4], indices over output
 * channels by fours, the patch by fours, output channel, patch; zeros where there is none; 4-byte
 * aligned. `quads` is ceil(patch / 4). requant: [out_c, 3] of folded, doubled, right.
 * scratch: 16 * quads + 2 * patch bytes. */
void td_s8_conv_2d__scalar(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch);

/* row_bytes is exact, or where groups and dilation_w are 1 rounded up to 4.
 * Weights and requantisation are those of pairs of output channels of a group, as in td_dot.h;
 * zeros where there is none. No weight is -128. weights: [groups, pairs, words], 4-byte aligned;
 * `words` is twice quads, but where rounding a row adds three zeros the last word of each row, 0,
 * is left out. requant: [groups, pairs] of td_pair_record. `pairs` is ceil(out_c / groups / 2),
 * `quads` ceil(patch / 4). strip: how many pixels are prepared at once, a multiple of 4 and not 0.
 * scratch: 4 * strip * words + 4 * quads bytes, and 8 * words where td_runs_fours. */
void td_s8_conv_2d__dsp(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch);

/* row_bytes is exact. weights: [groups] as in td_mve.h, 8-byte aligned, products in the order of
 * kernel_w, kernel_h, channel. requant: for each group bias and rows as in td_mve.h.
 * strip: 0 where each patch is a run of bytes of an image, and then scratch: twice patch rounded up
 * to 16. Else how many pixels of a row are gathered at once, 1 where dilation_w > 1; scratch: a
 * buffer of (strip - 1) * stride_w * kernel_h * group_c bytes and patch rounded up to 16; two of
 * them where patch > 16, and strip or out_w is odd. */
void td_s8_conv_2d__mve(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch);
/* The same with TD_MVE_ANY_SCALE. */
void td_s8_conv_2d_any_scale__mve(const td_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch);

/* What td_conv_16x8.h computes, where td_16x8.h rounds once: out = clamp(high(sum, multiplier)).
 * Zero points are 0, low and high int16. weights and requant: likewise, but with 8 products a
 * vector and no scales. strip and scratch: likewise, with 2 * group_c for group_c, and twice patch
 * for patch. in, out: 2-byte aligned. */
void td_s16_conv_2d__mve(const td_conv_2d *p, const int16_t *in, int16_t *out, void *scratch);

#endif
