#include "td_pool.h"

static void max_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  for (int32_t c = 0; c < p->channels; ++c) {
    int32_t largest = INT8_MIN;
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *row = w->first + y * w->row_bytes + c;
      for (int32_t x = 0; x < w->columns; ++x) {
        const int32_t value = row[x * p->channels];
        if (value > largest) largest = value;
      }
    }
    out[c] = td_pool_clamp(p, largest);
  }
}

void td_s8_max_pool_2d__scalar(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, max_window);
}
