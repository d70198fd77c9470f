#include "td_conv_16x8.h"

/* The first tap at or behind `from`, and how many there are before the one at or behind `end`. */
typedef struct {
  int32_t first, count;
} td_taps_16x8;

static inline td_taps_16x8 taps_inside(int32_t from, int32_t size, int32_t kernel,
                                       int32_t dilation) {
  const int32_t first = from < 0 ? (dilation - 1 - from) / dilation : 0;
  const int32_t room = size - from; /* taps at 0 <= k * dilation < room lie before the end */
  const int32_t fit = room <= 0 ? 0 : (room - 1) / dilation + 1;
  const int32_t behind = fit < kernel ? fit : kernel;
  const td_taps_16x8 taps = {first, behind > first ? behind - first : 0};
  return taps;
}

/* Sum over the taps inside; in: from the input channel that the output reads, weights: from the
 * output channel. `at` and `tap` are where the first tap inside lies in them. */
static inline int32_t window(const td_conv_16x8 *p, const int16_t *in, int32_t at,
                             const int8_t *weights, int32_t tap, int32_t rows, int32_t columns) {
  const int32_t in_step = p->dilation_w * p->in_c, in_row = p->dilation_h * p->in_w * p->in_c;
  int32_t sum = 0;
  for (int32_t y = 0; y < rows; ++y, at += in_row, tap += p->kernel_w * p->out_c) {
    for (int32_t x = 0; x < columns; ++x) sum += in[at + x * in_step] * weights[tap + x * p->out_c];
  }
  return sum;
}

static void pixel(const td_conv_16x8 *p, const int16_t *in, int32_t y, int32_t x, int16_t *out) {
  const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
  const td_taps_16x8 v = taps_inside(top, p->in_h, p->kernel_h, p->dilation_h);
  const td_taps_16x8 u = taps_inside(left, p->in_w, p->kernel_w, p->dilation_w);
  const td_record_16x8 *record = (const td_record_16x8 *)p->requant;
  const int8_t *weights = p->weights;
  const int32_t tap = (v.first * p->kernel_w + u.first) * p->out_c;
  const int32_t row = top + v.first * p->dilation_h, column = left + u.first * p->dilation_w;
  const int32_t at = (row * p->in_w + column) * p->in_c;
  for (int32_t i = 0; i < p->in_c; ++i, ++in) {
    for (int32_t m = p->out_c / p->in_c; m > 0; --m, ++weights) {
      const int32_t sum = window(p, in, at, weights, tap, v.count, u.count);
      *out++ = td_finish_sum_16x8(&p->finish, record++, sum);
    }
  }
}

void td_s16_depthwise_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                      void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x, out += p->out_c) pixel(p, in, y, x, out);
    }
  }
}
