#include "td_pixel_sums.h"
#include "td_pool.h"

static void mean_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const int32_t count = w->rows * w->columns;
  int32_t c = 0;
  for (; c + 8 <= p->channels; c += 8) {
    const td_pixel_sums sums =
        td_sum_pixels(w->first + c, w->rows, w->columns, w->row_step, p->channels);
    for (int32_t i = 0; i < 8; ++i) out[c + i] = td_pool_mean(p, td_pixel_sum(&sums, i), count);
  }
  for (; c < p->channels; ++c) out[c] = td_pool_mean(p, td_pool_sum(p, w, c), count);
}

void td_s8_average_pool_2d__dsp(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, mean_window);
}
