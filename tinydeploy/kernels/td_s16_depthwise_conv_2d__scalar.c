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

/* Where the taps inside lie: of the first one, offsets in the input and in the weights. */
typedef struct {
  int32_t at, tap;
  int32_t rows, columns;
} td_window_16x8;

/* in: from the input channel that the output reads; weights: from the output channel. */
static inline uint32_t one_channel(const td_conv_16x8 *p, const td_window_16x8 *w,
                                   const int16_t *in, const int8_t *weights) {
  const int32_t in_step = p->dilation_w * p->in_c;
  int32_t at = w->at, tap = w->tap;
  uint32_t sum = 0;
  for (int32_t y = 0; y < w->rows; ++y) {
    for (int32_t x = 0; x < w->columns; ++x) {
      sum += (uint32_t)(in[at + x * in_step] * weights[tap + x * p->out_c]);
    }
    at += p->dilation_h * p->in_w * p->in_c;
    tap += p->kernel_w * p->out_c;
  }
  return sum;
}

/* Four output channels of as many input channels. */
static inline void four_channels(const td_conv_16x8 *p, const td_window_16x8 *w, const int16_t *in,
                                 const int8_t *weights, uint32_t *sums) {
  const int32_t in_step = p->dilation_w * p->in_c, step = p->out_c;
  int32_t at = w->at, tap = w->tap;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  for (int32_t y = 0; y < w->rows; ++y) {
    const int16_t *i = in + at;
    const int8_t *k = weights + tap;
    for (int32_t x = w->columns;;) {
      a += (uint32_t)(i[0] * k[0]);
      b += (uint32_t)(i[1] * k[1]);
      c += (uint32_t)(i[2] * k[2]);
      d += (uint32_t)(i[3] * k[3]);
      if (--x == 0) break;
      i += in_step;
      k += step;
    }
    at += p->dilation_h * p->in_w * p->in_c;
    tap += p->kernel_w * step;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

static void pixel(const td_conv_16x8 *p, const td_window_16x8 *w, const int16_t *in, int16_t *out) {
  const td_record_16x8 *const records = (const td_record_16x8 *)p->requant;
  const int32_t multiplier = p->out_c / p->in_c;
  int32_t o = 0;
  for (; multiplier == 1 && o + 4 <= p->out_c; o += 4) {
    uint32_t sums[4];
    four_channels(p, w, in + o, p->weights + o, sums);
    for (int32_t i = 0; i < 4; ++i) {
      out[o + i] = td_clamp_16(td_finish_16x8(records + o + i, sums[i]), p->low, p->high);
    }
  }
  for (; o < p->out_c; ++o) {
    const uint32_t sum = one_channel(p, w, in + o / multiplier, p->weights + o);
    out[o] = td_clamp_16(td_finish_16x8(records + o, sum), p->low, p->high);
  }
}

static td_window_16x8 window_of(const td_conv_16x8 *p, int32_t y, int32_t x) {
  const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
  const td_taps_16x8 v = taps_inside(top, p->in_h, p->kernel_h, p->dilation_h);
  const td_taps_16x8 u = taps_inside(left, p->in_w, p->kernel_w, p->dilation_w);
  const int32_t row = top + v.first * p->dilation_h, column = left + u.first * p->dilation_w;
  const td_window_16x8 w = {(row * p->in_w + column) * p->in_c,
                            (v.first * p->kernel_w + u.first) * p->out_c, u.count > 0 ? v.count : 0,
                            u.count};
  return w;
}

void td_s16_depthwise_conv_2d__scalar(const td_conv_16x8 *p, const int16_t *in, int16_t *out,
                                      void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x, out += p->out_c) {
        const td_window_16x8 w = window_of(p, y, x);
        pixel(p, &w, in, out);
      }
    }
  }
}
