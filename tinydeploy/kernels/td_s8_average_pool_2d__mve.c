#include <arm_mve.h>

#include "td_pool.h"

/* td_pool_mean() of four sums; at most 2^15 + 2^7 is divided by at most 2^8, for which a reciprocal
 * that is less than 2^-31 too large is exact. */
static inline int32x4_t means(int32x4_t sums, int32_t half, uint32_t reciprocal) {
  const uint32x4_t sizes = vreinterpretq_u32_s32(vaddq_n_s32(vabsq_s32(sums), half));
  const uint32x4_t quotients = vmulhq_u32(vshlq_n_u32(sizes, 1), vdupq_n_u32(reciprocal));
  const int32x4_t v = vreinterpretq_s32_u32(quotients);
  return vnegq_m_s32(v, v, vcmpltq_n_s32(sums, 0));
}

static void mean_window(const td_pool *p, const td_pool_window *w, int8_t *out) {
  const int32_t count = w->rows * w->columns;
  const uint32_t reciprocal = ((1u << 31) + (uint32_t)count - 1) / (uint32_t)count;
  const int16x8_t low = vdupq_n_s16((int16_t)p->low), high = vdupq_n_s16((int16_t)p->high);
  for (int32_t c = 0; c < p->channels; c += 8) {
    const mve_pred16_t lanes = vctp16q((uint32_t)(p->channels - c));
    int16x8_t sums = vdupq_n_s16(0);
    for (int32_t y = 0; y < w->rows; ++y) {
      const int8_t *pixel = w->first + y * w->row_step + c;
      for (int32_t x = w->columns; x > 0; --x, pixel += p->channels) {
        sums = vaddq_s16(sums, vldrbq_z_s16(pixel, lanes));
      }
    }
    const int32x4_t even = means(vmovlbq_s16(sums), count / 2, reciprocal);
    const int32x4_t odd = means(vmovltq_s16(sums), count / 2, reciprocal);
    const int16x8_t both = vmovntq_s32(vmovnbq_s32(sums, even), odd);
    vstrbq_p_s16(out + c, vminq_s16(vmaxq_s16(both, low), high), lanes);
  }
}

void td_s8_average_pool_2d__mve(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, mean_window);
}
