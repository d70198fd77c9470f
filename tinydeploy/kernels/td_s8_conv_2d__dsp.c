#include "td_conv_2d.h"
#include "td_dot.h"
#include "td_patch.h"
#include "td_simd.h"

/* One group of one image. */
typedef struct {
  const td_conv_2d *p;
  const int8_t *image;      /* from the first channel of the group on */
  int8_t *out;              /* likewise */
  const int8_t *weights;    /* of the group */
  const td_record *records; /* of the group */
  int32_t channels;         /* of its output */
  int32_t patch, quads;
  int8_t *column;   /* [4 * quads], zeros behind a patch */
  uint32_t *spread; /* [quads, 2, 4] */
} td_slice;

/* The patch of a pixel, 4 * quads bytes of it. */
static const int8_t *patch_of(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  const int8_t *from = td_patch(p, s->image, pixel / p->out_w, pixel % p->out_w, s->column);
  if (from == s->column || s->patch % 4 == 0) return from;
  td_copy(s->column, from, s->patch);
  return s->column;
}

static void one_pixel(const td_slice *s, int32_t pixel) {
  const int8_t *from = patch_of(s, pixel);
  const int8_t *weights = s->weights;
  int8_t *out = s->out + pixel * s->p->out_c;
  for (int32_t c = 0; c < s->channels; ++c, weights += 4 * s->quads) {
    const td_record record = s->records[c];
    out[c] = td_finish(record, td_dot_1x1(from, weights, s->quads, record.folded));
  }
}

static void four_pixels(const td_slice *s, int32_t pixel) {
  for (int32_t i = 0; i < 4; ++i) td_spread(patch_of(s, pixel + i), s->quads, s->spread + i);
  const int32_t row = s->p->out_c, quads = s->quads;
  const int8_t *weights = s->weights;
  const td_record *record = s->records;
  int8_t *out = s->out + pixel * row;
  for (const int8_t *end = out + s->channels; out != end; ++out, weights += 4 * quads) {
    const td_record r = *record++;
    int32_t acc[4] = {r.folded, r.folded, r.folded, r.folded};
    td_dot_4x1(s->spread, weights, quads, acc);
    out[0] = td_finish(r, acc[0]);
    out[row] = td_finish(r, acc[1]);
    out[2 * row] = td_finish(r, acc[2]);
    out[3 * row] = td_finish(r, acc[3]);
  }
}

/* By fours; what is left over is done with the last pixels before it again, or one by one where
 * that is less work. */
static void all_pixels(const td_slice *s, int32_t pixels) {
  const int32_t left = pixels % 4;
  for (int32_t i = 0; i + 4 <= pixels; i += 4) four_pixels(s, i);
  if (left > 1 && pixels > 4) {
    four_pixels(s, pixels - 4);
  } else {
    for (int32_t i = pixels - left; i < pixels; ++i) one_pixel(s, i);
  }
}

void td_s8_conv_2d__dsp(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t patch = td_conv_2d_patch_bytes(p), quads = (patch + 3) / 4;
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const td_record *records = (const td_record *)p->requant;
  td_slice s = {.p = p, .channels = channels, .patch = patch, .quads = quads};
  s.spread = scratch;
  s.column = (int8_t *)(s.spread + 8 * quads);
  memset(s.column, 0, (uint32_t)(4 * quads));
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t g = 0; g < p->groups; ++g) {
      s.image = in + n * p->in_h * p->in_w * p->in_c + g * (p->in_c / p->groups);
      s.out = out + n * pixels * p->out_c + g * channels;
      s.weights = p->weights + g * channels * 4 * quads;
      s.records = records + g * channels;
      all_pixels(&s, pixels);
    }
  }
  td_clamp(out, p->batches * pixels * p->out_c, p->low, p->high);
}
