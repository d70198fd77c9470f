#include "td_conv_2d.h"
#include "td_fixedpoint.h"
#include "td_patch.h"

/* Two patches against the weights of two channels: acc[2 * channel + pixel]. */
static inline void dot_2x2(const int8_t *a, const int8_t *b, const int8_t *v, const int8_t *w,
                           int32_t count, uint32_t *acc) {
  uint32_t va = 0, vb = 0, wa = 0, wb = 0;
  for (const int8_t *end = a + count; a != end; ++a, ++b, ++v, ++w) {
    const int32_t x = *a, y = *b;
    va += (uint32_t)(*v * x);
    vb += (uint32_t)(*v * y);
    wa += (uint32_t)(*w * x);
    wb += (uint32_t)(*w * y);
  }
  acc[0] = va;
  acc[1] = vb;
  acc[2] = wa;
  acc[3] = wb;
}

static int8_t finish(const td_conv_2d *p, const int32_t *requant, uint32_t acc) {
  const int32_t v = td_requantize((int32_t)(acc + (uint32_t)requant[0]), requant[1], requant[2]);
  return td_offset_and_clamp(v, p->out_zero_point, p->low, p->high);
}

/* Both patches through the `channels` of a group. The second pixel is the first again where their
 * number is odd, and likewise the second channel: the same value is then written twice. */
static void two_pixels(const td_conv_2d *p, int32_t first, int32_t channels, const int8_t *a,
                       const int8_t *b, int8_t *out_a, int8_t *out_b) {
  const int32_t patch = td_conv_2d_patch_bytes(p);
  for (int32_t c = 0; c < channels; c += 2) {
    const int32_t d = c + 1 < channels ? c + 1 : c;
    const int8_t *v = p->weights + (first + c) * patch;
    const int8_t *w = p->weights + (first + d) * patch;
    const int32_t *requant_c = p->requant + 3 * (first + c);
    const int32_t *requant_d = p->requant + 3 * (first + d);
    uint32_t acc[4];
    dot_2x2(a, b, v, w, patch, acc);
    out_a[c] = finish(p, requant_c, acc[0]);
    out_b[c] = finish(p, requant_c, acc[1]);
    out_a[d] = finish(p, requant_d, acc[2]);
    out_b[d] = finish(p, requant_d, acc[3]);
  }
}

void td_s8_conv_2d__scalar(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = td_conv_2d_patch_bytes(p);
  const int32_t pixels = p->out_h * p->out_w;
  const int32_t group_in = p->in_c / p->groups, group_out = p->out_c / p->groups;
  int8_t *const column = scratch;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t i = 0; i < pixels; i += 2) {
      const int32_t j = i + 1 < pixels ? i + 1 : i;
      for (int32_t g = 0; g < p->groups; ++g) {
        const int8_t *image = in + g * group_in;
        int8_t *to = out + g * group_out;
        const int8_t *a = td_patch(p, image, i / p->out_w, i % p->out_w, column);
        const int8_t *b = td_patch(p, image, j / p->out_w, j % p->out_w, column + patch);
        two_pixels(p, g * group_out, group_out, a, b, to + i * p->out_c, to + j * p->out_c);
      }
    }
    in += p->in_h * p->in_w * p->in_c;
    out += pixels * p->out_c;
  }
}
