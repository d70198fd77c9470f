#include "td_pool.h"
#include "td_simd.h"

/* Sums of at most 256 pixels fit into halves: a word holds two channels. */

static inline void mean_of_bytes(const td_pool *p, uint32_t even, uint32_t odd, int32_t count,
                                 int8_t *out) {
  out[0] = td_pool_mean(p, td_low_half(even), count);
  out[1] = td_pool_mean(p, td_low_half(odd), count);
  out[2] = td_pool_mean(p, td_high_half(even), count);
  out[3] = td_pool_mean(p, td_high_half(odd), count);
}

static void mean_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const int32_t count = w->rows * w->columns;
  int32_t c = 0;
  for (; c + 8 <= p->channels; c += 8) {
    uint32_t even0 = 0, odd0 = 0, even1 = 0, odd1 = 0;
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *pixel = w->first + y * w->row_bytes + c;
      for (int32_t x = w->columns;;) {
        const uint32_t bytes0 = td_load_word(pixel);
        const uint32_t bytes1 = td_load_word(pixel + 4);
        even0 = td_sxtab16(even0, bytes0);
        odd0 = td_sxtab16(odd0, td_rotate(bytes0, 8));
        even1 = td_sxtab16(even1, bytes1);
        odd1 = td_sxtab16(odd1, td_rotate(bytes1, 8));
        if (--x == 0) break;
        pixel += p->channels;
      }
    }
    mean_of_bytes(p, even0, odd0, count, out + c);
    mean_of_bytes(p, even1, odd1, count, out + c + 4);
  }
  for (; c < p->channels; ++c) {
    int32_t sum = 0;
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *row = w->first + y * w->row_bytes + c;
      for (int32_t x = 0; x < w->columns; ++x) sum += row[x * p->channels];
    }
    out[c] = td_pool_mean(p, sum, count);
  }
}

void td_s8_average_pool_2d__dsp(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, mean_window);
}
