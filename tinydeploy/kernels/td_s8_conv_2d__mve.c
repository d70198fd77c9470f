#include "td_conv_2d.h"
#include "td_mve.h"
#include "td_patch.h"

/* One group of one image. */
typedef struct {
  const td_conv_2d *p;
  const int8_t *image; /* from the first channel of the group on */
  const int8_t *end;   /* of the whole input */
  int32_t flat;        /* output pixel i is input pixel i */
  int32_t bytes;       /* of a padded patch */
} td_slice;

/* The patch of output pixel `i`; in `column` unless it lies in the input with all its padding. */
static inline const int8_t *patch_of(const td_slice *s, int32_t i, int8_t *column) {
  const td_conv_2d *p = s->p;
  const int8_t *from = s->image + i * p->in_c;
  if (!s->flat) from = td_patch(p, s->image, i / p->out_w, i % p->out_w, column);
  if (from == column || s->end - from >= s->bytes) return from;
  td_copy(column, from, td_conv_2d_patch_bytes(p));
  return column;
}

static void all_pixels(const td_slice *s, const td_mve_pixels *start, int8_t *column) {
  const td_conv_2d *p = s->p;
  const int32_t pixels = p->out_h * p->out_w;
  td_mve_pixels two = *start;
  int8_t *out = start->out[0];
  for (int32_t i = 0; i < pixels; i += 2) {
    two.channels = start->channels;
    two.requant = start->requant;
    two.first = patch_of(s, i, column);
    two.out[0] = out;
    out += p->out_c;
    if (i + 1 == pixels) {
      td_mve_one_pixel(&two);
      return;
    }
    two.second = patch_of(s, i + 1, column + s->bytes);
    two.out[1] = out;
    out += p->out_c;
    td_mve_two_pixels(&two);
  }
}

void td_s8_conv_2d__mve(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const int32_t depth = p->in_c / p->groups, image_bytes = p->in_h * p->in_w * p->in_c;
  const int32_t chunks = (td_conv_2d_patch_bytes(p) + 15) / 16, fours = (channels + 3) / 4;
  td_slice s = {.p = p, .bytes = 16 * chunks, .end = in + p->batches * image_bytes};
  td_mve_pixels start = {.channels = channels,
                         .step = 32,
                         .offset = p->out_zero_point,
                         .chunks = chunks,
                         .low = p->low,
                         .high = p->high};
  s.flat = p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t g = 0; g < p->groups; ++g) {
      s.image = in + n * image_bytes + g * depth;
      start.out[0] = out + n * pixels * p->out_c + g * channels;
      start.weights = p->weights + g * fours * 64 * chunks;
      start.bias = p->requant + g * fours * 12;
      start.requant = start.bias + fours * 4;
      all_pixels(&s, &start, scratch);
    }
  }
}
