#include "td_bytes.h"
#include "td_pool.h"

static void max_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const uint32_t low = td_repeat_byte(p->low);
  const uint32_t high = td_repeat_byte(p->high);
  int32_t c = 0;
  for (; c + 4 <= p->channels; c += 4) {
    uint32_t largest = low;
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *pixel = w->first + y * w->row_step + c;
      for (int32_t x = w->columns;;) {
        largest = td_max_bytes(largest, td_load4(pixel));
        if (--x == 0) break;
        pixel += p->channels;
      }
    }
    td_store4(out + c, td_min_bytes(largest, high));
  }
  for (; c < p->channels; ++c) out[c] = td_pool_largest(p, w, c);
}

void td_s8_max_pool_2d__dsp(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, max_window);
}
