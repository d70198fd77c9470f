#include "td_conv_2d.h"
#include "td_fixedpoint.h"
#include "td_patch.h"

/* Two patches against the weights of two channels: acc[2 * channel + pixel]. */
static inline void dot_2x2(const int8_t *a, const int8_t *b, const int8_t *weights, int32_t count,
                           uint32_t *acc) {
  uint32_t va = 0, vb = 0, wa = 0, wb = 0;
  for (const int8_t *end = a + count; a != end; weights += 2) {
    const int32_t x = *a++, y = *b++, v = weights[0], w = weights[1];
    va += (uint32_t)(v * x);
    vb += (uint32_t)(v * y);
    wa += (uint32_t)(w * x);
    wb += (uint32_t)(w * y);
  }
  acc[0] = va;
  acc[1] = vb;
  acc[2] = wa;
  acc[3] = wb;
}

static inline int8_t finish(const td_conv_2d *p, const int32_t *requant, uint32_t acc) {
  const int32_t v = td_requantize((int32_t)(acc + (uint32_t)requant[0]), requant[1], requant[2]);
  return td_offset_and_saturate(v, p->out_zero_point);
}

/* Both patches through the `channels` of a group. */
static void two_pixels(const td_conv_2d *p, int32_t group, const int8_t *a, const int8_t *b,
                       int8_t *out_a, int8_t *out_b) {
  const int32_t patch = td_conv_2d_patch_bytes(p), channels = p->out_c / p->groups;
  const int8_t *weights = p->weights + group * ((channels + 1) & ~1) * patch;
  const int32_t *requant = p->requant + 3 * group * channels;
  for (int32_t c = 0; c < channels; c += 2, weights += 2 * patch, requant += 6) {
    uint32_t acc[4];
    dot_2x2(a, b, weights, patch, acc);
    out_a[c] = finish(p, requant, acc[0]);
    out_b[c] = finish(p, requant, acc[1]);
    if (c + 1 == channels) return;
    out_a[c + 1] = finish(p, requant + 3, acc[2]);
    out_b[c + 1] = finish(p, requant + 3, acc[3]);
  }
}

void td_s8_conv_2d__scalar(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = td_conv_2d_patch_bytes(p);
  const int32_t pixels = p->out_h * p->out_w;
  const int32_t group_in = p->in_c / p->groups, group_out = p->out_c / p->groups;
  int8_t *const column = scratch, *const all = out;
  for (int32_t n = 0; n < p->batches; ++n) {
    /* The second pixel is the first again where their number is odd. */
    for (int32_t i = 0; i < pixels; i += 2) {
      const int32_t j = i + 1 < pixels ? i + 1 : i;
      for (int32_t g = 0; g < p->groups; ++g) {
        const int8_t *image = in + g * group_in;
        int8_t *to = out + g * group_out;
        const int8_t *a = td_patch(p, image, i / p->out_w, i % p->out_w, column);
        const int8_t *b = td_patch(p, image, j / p->out_w, j % p->out_w, column + patch);
        two_pixels(p, g, a, b, to + i * p->out_c, to + j * p->out_c);
      }
    }
    in += p->in_h * p->in_w * p->in_c;
    out += pixels * p->out_c;
  }
  td_clamp(all, p->batches * pixels * p->out_c, p->low, p->high);
}
