#include "td_conv_2d.h"
#include "td_fixedpoint.h"
#include "td_pairs.h"
#include "td_patch.h"

/* Two pixels through the channels of a group. pairs: [quads, 4]. */
static void two_pixels(const td_conv_2d *p, int32_t group, const int32_t *pairs, int32_t quads,
                       int8_t *a, int8_t *b) {
  const int32_t channels = p->out_c / p->groups, offset = p->out_zero_point;
  const int8_t *weights = p->weights + group * ((channels + 3) & ~3) * 4 * quads;
  const int32_t *requant = p->requant + 3 * group * channels;
  for (int32_t left = channels; left > 0; left -= 4, weights += 16 * quads) {
    td_pair_step step;
    step.pairs = pairs;
    step.weights = weights;
    td_sum_pairs(&step, quads);
    const int32_t *sums = step.sums, *const end = sums + (left < 4 ? 2 * left : 8);
    for (; sums != end; sums += 2, requant += 3) {
      const int32_t doubled = requant[1], right = requant[2];
      const uint32_t folded = (uint32_t)requant[0];
      const int32_t sum_a = (int32_t)(folded + (uint32_t)sums[0]);
      const int32_t sum_b = (int32_t)(folded + (uint32_t)sums[1]);
      *a++ = (int8_t)td_requantize_to_int8(sum_a, doubled, right, offset);
      *b++ = (int8_t)td_requantize_to_int8(sum_b, doubled, right, offset);
    }
  }
}

void td_s8_conv_2d__scalar(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = td_conv_2d_patch_bytes(p), quads = (patch + 3) / 4;
  const int32_t pixels = p->out_h * p->out_w;
  const int32_t group_in = p->in_c / p->groups, group_out = p->out_c / p->groups;
  int32_t *const pairs = scratch;
  int8_t *const column = (int8_t *)(pairs + 4 * quads), *const all = out;
  memset(pairs + patch, 0, (uint32_t)(4 * (4 * quads - patch)));
  for (int32_t n = 0; n < p->batches; ++n) {
    /* The second pixel is the first again where their number is odd. */
    for (int32_t i = 0; i < pixels; i += 2) {
      const int32_t j = i + 1 < pixels ? i + 1 : i;
      for (int32_t g = 0; g < p->groups; ++g) {
        const int8_t *image = in + g * group_in;
        int8_t *to = out + g * group_out;
        const int8_t *a = td_patch(p, image, i / p->out_w, i % p->out_w, column);
        const int8_t *b = td_patch(p, image, j / p->out_w, j % p->out_w, column + patch);
        td_pack_pairs(a, b, patch, pairs);
        two_pixels(p, g, pairs, quads, to + i * p->out_c, to + j * p->out_c);
      }
    }
    in += p->in_h * p->in_w * p->in_c;
    out += pixels * p->out_c;
  }
  td_clamp(all, p->batches * pixels * p->out_c, p->low, p->high);
}
