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
  int32_t rows_of_fours; /* a row of weights is one run of a multiple of 4 bytes in the image */
  int8_t *column;        /* [4 * quads], zeros behind a patch */
  uint32_t *spread;      /* [quads, 2, 4] */
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

/* Spreads four pixels whose rows of weights lie as rows of fours in the image. */
static int32_t spread_in_place(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  const int32_t row_bytes = p->kernel_w * (p->in_c / p->groups);
  const int8_t *from[4];
  int32_t y = pixel / p->out_w, x = pixel % p->out_w;
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
    if (top < 0 || top + (p->kernel_h - 1) * p->dilation_h >= p->in_h || left < 0 ||
        left + p->kernel_w > p->in_w) {
      return 0;
    }
    from[i] = s->image + (top * p->in_w + left) * p->in_c;
    if (++x == p->out_w) {
      x = 0;
      ++y;
    }
  }
  uint32_t *to = s->spread;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky, to += 2 * row_bytes) {
    td_spread_4(from, row_bytes / 4, to);
    for (int32_t i = 0; i < 4; ++i) from[i] += p->dilation_h * p->in_w * p->in_c;
  }
  return 1;
}

static void four_pixels(const td_slice *s, int32_t pixel) {
  if (!s->rows_of_fours || !spread_in_place(s, pixel)) {
    for (int32_t i = 0; i < 4; ++i) td_spread_1(patch_of(s, pixel + i), s->quads, s->spread + i);
  }
  int8_t *out = s->out + pixel * s->p->out_c;
  td_four_pixels four = {s->spread,   s->quads,          s->records, out,
                         s->p->out_c, out + s->channels, s->weights};
  td_run_four_pixels(&four);
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
  s.rows_of_fours = (p->kernel_w == 1 || (p->dilation_w == 1 && p->groups == 1)) &&
                    p->kernel_w * (p->in_c / p->groups) % 4 == 0;
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
