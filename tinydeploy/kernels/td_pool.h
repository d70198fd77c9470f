/* AVERAGE_POOL_2D and MAX_POOL_2D, int8 or int16.
 *
 * out[n, y, x, c] = clamp(combine(in[n, v, u, c] for all (v, u) of the window of (y, x)), low,
 * high)
 *
 * The window of (y, x) is the pixels (v, u) of the input with
 *     y * stride_h - pad_h <= v < y * stride_h - pad_h + filter_h, and u likewise from x;
 * every window has at least one. `combine` is the maximum, or the mean rounded to nearest, halves
 * away from zero. Input and output have one scale and one zero point.
 *
 * Arguments of every kernel:
 *     p: all sizes at least 1 (pads at least 0); low and high within the element type.
 *     in: int8, or int16 for s16, [batches, in_h, in_w, channels].
 *     out: of the same type, [batches, out_h, out_w, channels]; over `in` only as the planner
 *         allows it (ops/pool.py): from the first to the last pixel, each channel for itself.
 *     scratch: not used.
 */
#ifndef TD_POOL_H
#define TD_POOL_H

#include <stdint.h>

#include "td_element.h"
#include "td_sizes.h"

typedef struct {
  td_size batches;
  td_size in_h, in_w, channels;
  td_size out_h, out_w;
  td_small filter_h, filter_w;
  td_small stride_h, stride_w;
  td_small pad_h, pad_w;
  td_small low, high;
} td_pool;

void td_s8_average_pool_2d__scalar(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);
void td_s8_max_pool_2d__scalar(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);

/* The mean: windows of at most 65535 pixels inside the input. */
void td_s16_average_pool_2d__scalar(const td_pool *p, const int16_t *in, int16_t *out,
                                    void *scratch);
void td_s16_max_pool_2d__scalar(const td_pool *p, const int16_t *in, int16_t *out, void *scratch);

/* Windows of at most 256 pixels inside the input. */
void td_s8_average_pool_2d__dsp(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);
void td_s8_max_pool_2d__dsp(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);

/* The mean: windows of at most 256 pixels inside the input. */
void td_s8_average_pool_2d__mve(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);
void td_s8_max_pool_2d__mve(const td_pool *p, const int8_t *in, int8_t *out, void *scratch);

/* The pixels of one window that lie inside the input: `rows` rows of `columns` pixels. */
typedef struct {
  const td_element *first; /* channel 0 of the first pixel */
  int32_t rows, columns;
  int32_t row_step; /* from a row to the next */
} td_pool_window;

static inline td_pool_window td_pool_window_at(const td_pool *p, const td_element *image, int32_t y,
                                               int32_t x) {
  int32_t top = y * p->stride_h - p->pad_h;
  int32_t left = x * p->stride_w - p->pad_w;
  int32_t bottom = top + p->filter_h;
  int32_t right = left + p->filter_w;
  if (top < 0) top = 0;
  if (left < 0) left = 0;
  if (bottom > p->in_h) bottom = p->in_h;
  if (right > p->in_w) right = p->in_w;
  td_pool_window w = {image + (top * p->in_w + left) * p->channels, bottom - top, right - left,
                      p->in_w * p->channels};
  if (w.columns == p->in_w) { /* without a gap between its rows it is one row */
    w.columns *= w.rows;
    w.rows = 1;
  }
  return w;
}

/* A kernel's loop over all windows: combine(p, &window, out) writes `channels` values. */
typedef void td_pool_combine(const td_pool *p, const td_pool_window *w, td_element *out);

static inline void td_pool_all(const td_pool *p, const td_element *in, td_element *out,
                               td_pool_combine *combine) {
  const int32_t image_elements = p->in_h * p->in_w * p->channels;
  for (int32_t n = 0; n < p->batches; ++n, in += image_elements) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x, out += p->channels) {
        const td_pool_window w = td_pool_window_at(p, in, y, x);
        combine(p, &w, out);
      }
    }
  }
}

/* A sum over `count` pixels to its mean. */
static inline td_element td_pool_mean(const td_pool *p, int32_t sum, int32_t count) {
  const int32_t half = sum < 0 ? -(count / 2) : count / 2;
  return td_clamp_element((sum + half) / count, p->low, p->high);
}

/* The sum of channel `c` over a window. */
static inline int32_t td_pool_sum(const td_pool *p, const td_pool_window *w, int32_t c) {
  int32_t sum = 0;
  for (int32_t y = 0; y < w->rows; ++y) {
    const td_element *row = w->first + y * w->row_step + c;
    for (int32_t x = 0; x < w->columns; ++x) sum += row[x * p->channels];
  }
  return sum;
}

/* The largest of channel `c` in a window, clamped. */
static inline td_element td_pool_largest(const td_pool *p, const td_pool_window *w, int32_t c) {
  int32_t largest = p->low;
  for (int32_t y = 0; y < w->rows; ++y) {
    const td_element *row = w->first + y * w->row_step + c;
    for (int32_t x = 0; x < w->columns; ++x) {
      const int32_t value = row[x * p->channels];
      if (value > largest) largest = value;
    }
  }
  return (td_element)(largest > p->high ? p->high : largest);
}

static inline void td_pool_mean_window(const td_pool *p, const td_pool_window *w, td_element *out) {
  const int32_t count = w->rows * w->columns;
  for (int32_t c = 0; c < p->channels; ++c) out[c] = td_pool_mean(p, td_pool_sum(p, w, c), count);
}

static inline void td_pool_max_window(const td_pool *p, const td_pool_window *w, td_element *out) {
  for (int32_t c = 0; c < p->channels; ++c) out[c] = td_pool_largest(p, w, c);
}

#endif
