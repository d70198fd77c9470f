#include <arm_mve.h>

#include "td_pool.h"

static void mean_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const int32_t count = w->rows * w->columns;
  for (int32_t c = 0; c < p->channels; c += 8) {
    const int32_t left = p->channels - c < 8 ? p->channels - c : 8;
    const mve_pred16_t lanes = vctp16q((uint32_t)left);
    int16x8_t sum = vdupq_n_s16(0);
    int16_t sums[8];
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *pixel = w->first + y * w->row_step + c;
      for (int32_t x = w->columns; x > 0; --x, pixel += p->channels) {
        sum = vaddq_s16(sum, vldrbq_z_s16(pixel, lanes));
      }
    }
    vst1q_s16(sums, sum);
    for (int32_t i = 0; i < left; ++i) out[c + i] = td_pool_mean(p, sums[i], count);
  }
}

void td_s8_average_pool_2d__mve(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, mean_window);
}
