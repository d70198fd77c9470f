/* FULLY_CONNECTED, int8.
 *
 * out[n, o] = clamp(out_zero_point + requantize(bias[o] + sum over d of
 *     (weights[o, d] - weights_zero_point) * (in[n, d] - in_zero_point)), low, high)
 *
 * with `requantize` of td_fixedpoint.h. Sums are taken modulo 2^32. All of them but
 *     sum of weights[o, d] * in[n, d] - weights_zero_point * sum of in[n, d]
 * is a constant of the channel:
 *     folded[o] = bias[o] - in_zero_point * sum over d of (weights[o, d] - weights_zero_point).
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1; -128 <= low <= high <= 127.
 *     in: int8 [batches, in_depth], any alignment.
 *     out: int8 [batches, out_depth], any alignment, must not overlap `in`.
 *     scratch: as each kernel says, 8-byte aligned.
 */
#ifndef TD_FULLY_CONNECTED_H
#define TD_FULLY_CONNECTED_H

#include <stdint.h>

#include "td_sizes.h"

typedef struct {
  td_size batches;
  td_size in_depth, out_depth;
  td_small weights_zero_point, out_zero_point;
  td_small low, high;
  td_small requant_step; /* from a row of requant to the next: 0, or the row's length */
  const int8_t *weights;
  const int32_t *folded;  /* [out_depth] */
  const int32_t *requant; /* one row for all channels, or one each */
} td_fully_connected;

/* weights: uint8 [ceil(out_depth / 4), ceil(in_depth / 4), 4, 4], indices over output channels by
 * fours, input by fours, channels, inputs from the last to the first: 128 above what they are,
 * 4-byte aligned. Where there is none it does not matter. folded: bias[o] - (in_zero_point + 128) *
 * sum over d of (weights[o, d] - weights_zero_point). requant: rows of doubled, right. scratch: not
 * used. */
void td_s8_fully_connected__scalar(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                   void *scratch);

/* weights: [ceil(out_depth / 4), quads, 2, 2] words, 4-byte aligned, indices over output channels
 * by fours, input by fours, pairs of channels a and b, even and odd inputs. A word holds two int16
 * a + 256 b of its inputs; no weight is -128. Zeros where there is none. `quads` is
 * ceil(in_depth / 4). requant: rows of multiplier, scale, offset as in td_record (td_simd.h).
 * scratch: not used. */
void td_s8_fully_connected__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch);

/* in_depth and out_depth are multiples of 8, weights_zero_point and requant_step are 0, low and
 * high are -128 and 127, no weight is -128, and no sum leaves 24 bits. weights: [out_depth / 8]
 * times where the sums of eight channels start, int32 [4, 2], of each pair of channels a and b
 *     folded[a] - sum over even d of weights[a, d] * weights[a, d + 1]
 *     folded[a] + 256 folded[b],
 * and [in_depth / 4, 4, 2] words, indices over input by fours, pairs, odd and even inputs; a word
 * holds two int16 a + 256 b. 8-byte aligned. folded: not used. requant: multiplier, scale, offset
 * as in td_record. scratch: not used. */
void td_s8_fully_connected_eights__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                       void *scratch);

/* weights_zero_point is 0. weights, 8-byte aligned, and folded, as `bias`: as td_mve.h has them.
 * requant: rows for four channels of td_mve.h. scratch: in_depth rounded up to 16 bytes; not used
 * if in_depth is a multiple of 16. */
void td_s8_fully_connected__mve(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch);
/* The same with TD_MVE_ANY_SCALE. */
void td_s8_fully_connected_any_scale__mve(const td_fully_connected *p, const int8_t *in,
                                          int8_t *out, void *scratch);

#endif
