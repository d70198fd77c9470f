#include <arm_mve.h>

#include "td_pool.h"

static void max_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const int8x16_t high = vdupq_n_s8((int8_t)p->high);
  for (int32_t c = 0; c < p->channels; c += 16) {
    const mve_pred16_t lanes = vctp8q((uint32_t)(p->channels - c));
    int8x16_t largest = vdupq_n_s8((int8_t)p->low);
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *pixel = w->first + y * w->row_step + c;
      for (int32_t x = w->columns; x > 0; --x, pixel += p->channels) {
        largest = vmaxq_s8(largest, vldrbq_z_s8(pixel, lanes));
      }
    }
    vstrbq_p_s8(out + c, vminq_s8(largest, high), lanes);
  }
}

void td_s8_max_pool_2d__mve(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, max_window);
}
