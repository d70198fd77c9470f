#include <arm_mve.h>

#include "td_mean.h"

/* requantize(sum + offset) + zero_point; `divide` of td_fixedpoint.h is a shift that rounds halves
 * up, once 1 is taken off what is below zero. */
static inline int32x4_t means(const td_mean_pixels *p, int32x4_t sums) {
  int32x4_t v = vqrdmulhq_n_s32(vaddq_n_s32(sums, p->offset), p->multiplier);
  v = vaddq_s32(v, vshrq_n_s32(v, 31));
  return vaddq_n_s32(vrshlq_n_s32(v, p->shift), p->zero_point);
}

void td_s8_mean_pixels__mve(const td_mean_pixels *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t c = 0; c < p->channels; c += 8) {
      const mve_pred16_t lanes = vctp16q((uint32_t)(p->channels - c));
      const int8_t *pixel = in + c;
      int16x8_t sums = vdupq_n_s16(0); /* of at most 256 int8 */
      for (int32_t i = p->pixels; i > 0; --i, pixel += p->channels) {
        sums = vaddq_s16(sums, vldrbq_z_s16(pixel, lanes));
      }
      const int16x8_t even = vqmovnbq_s32(sums, means(p, vmovlbq_s16(sums)));
      const int16x8_t both = vqmovntq_s32(even, means(p, vmovltq_s16(sums)));
      vstrbq_p_s16(out + c, vminq_s16(vmaxq_s16(both, vdupq_n_s16(-128)), vdupq_n_s16(127)), lanes);
    }
    in += p->pixels * p->channels;
    out += p->channels;
  }
}
