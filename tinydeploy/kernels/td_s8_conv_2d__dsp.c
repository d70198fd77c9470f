#include <stddef.h>

#include "td_conv_2d.h"
#include "td_dot.h"
#include "td_patch.h"
#include "td_simd.h"

/* One group of one image. */
typedef struct {
  const td_conv_2d *p;
  const int8_t *image;           /* from the first channel of the group on */
  int8_t *out;                   /* likewise */
  const int8_t *weights;         /* of the group */
  const td_pair_record *records; /* of the group */
  int32_t channels;              /* of its output */
  int32_t quads;                 /* fours of bytes in a patch */
  int32_t rows_of_fours; /* a row of weights is one run of a multiple of 4 bytes in the image */
  int32_t flat;          /* ... and output pixel i is input pixel i */
  int8_t *column;        /* [4 * quads], zeros behind its rows and the patch */
  uint32_t *spread;      /* [quads, 2, 4] */
} td_slice;

/* A copy of the patch of a pixel, 4 * quads bytes of it: the output may lie over the input. */
static const int8_t *patch_of(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  const int8_t *from = td_patch(p, s->image, pixel / p->out_w, pixel % p->out_w, s->column);
#ifndef __OPTIMIZE_SIZE__
  if (from != s->column) td_copy(s->column, from, p->kernel_w * (p->in_c / p->groups));
#else
  (void)from; /* always a copy */
#endif
  return s->column;
}

#ifdef __OPTIMIZE_SIZE__

/* Four pixels, or with a `step` of 0 one: all four sums are its own. */
static void run_pixels(const td_slice *s, int32_t pixel, int32_t step) {
  const td_conv_2d *p = s->p;
  const int8_t *from[4];
  for (int32_t i = 0; i < 4; ++i) {
    from[i] = s->image + (pixel + i * step) * p->in_c;
    if (!s->flat) td_spread_1(patch_of(s, pixel + i * step), s->quads, s->spread + i);
  }
  if (s->flat) td_spread_4(from, s->quads, s->spread);
  int8_t *out = s->out + pixel * p->out_c;
  td_four_pixels four = {s->spread,       s->spread + 8 * s->quads, s->records,   out,
                         step * p->out_c, out + s->channels,        s->quads & 1, s->weights};
  td_run_four_pixels(&four);
}

static void four_pixels(const td_slice *s, int32_t pixel) { run_pixels(s, pixel, 1); }

static void one_pixel(const td_slice *s, int32_t pixel) { run_pixels(s, pixel, 0); }

#else

static void one_pixel(const td_slice *s, int32_t pixel) {
  td_run_pixel(patch_of(s, pixel), s->quads, s->records, s->weights, s->out + pixel * s->p->out_c,
               s->channels);
}

/* Where the patch of a pixel starts in the image if its rows can be read there, each as row_bytes
 * bytes: those behind a row count nothing, but lie in the image. Else NULL. */
static const int8_t *rows_of(const td_slice *s, int32_t y, int32_t x) {
  const td_conv_2d *p = s->p;
  const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
  const int32_t inside = top >= 0 && top + (p->kernel_h - 1) * p->dilation_h < p->in_h &&
                         left >= 0 && left * p->in_c + p->row_bytes <= p->in_w * p->in_c;
  return s->rows_of_fours && inside ? s->image + (top * p->in_w + left) * p->in_c : NULL;
}

/* The same for four pixels; how many of them can be read there. */
static int32_t rows_of_four(const td_slice *s, int32_t pixel, const int8_t **from) {
  const td_conv_2d *p = s->p;
  const int8_t *first = s->image + pixel * p->in_c;
  int32_t step = p->in_c, y = pixel / p->out_w, x = pixel % p->out_w, in_place = 0;
  if (!s->flat) {
    first = rows_of(s, y, x);
    step *= p->stride_w;
    if (first == NULL || x + 4 > p->out_w || rows_of(s, y, x + 3) == NULL) {
      for (int32_t i = 0; i < 4; ++i) {
        from[i] = rows_of(s, y, x);
        in_place += from[i] != NULL;
        if (++x == p->out_w) {
          x = 0;
          ++y;
        }
      }
      return in_place;
    }
  }
  for (int32_t i = 0; i < 4; ++i, first += step) from[i] = first;
  return 4;
}

static void spread_pixels(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  const int32_t step = p->dilation_h * p->in_w * p->in_c;
  const int8_t *from[4];
  const int32_t in_place = rows_of_four(s, pixel, from);
  uint32_t *spread = s->spread;
  if (in_place == 4) {
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, spread += 2 * p->row_bytes) {
      td_spread_4(from, p->row_bytes / 4, spread);
      for (int32_t i = 0; i < 4; ++i) from[i] += step;
    }
    return;
  }
  for (int32_t i = 0; i < 4; ++i, ++spread) {
    if (from[i] == NULL) {
      td_spread_1(patch_of(s, pixel + i), s->quads, spread);
      continue;
    }
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
      td_spread_1(from[i] + ky * step, p->row_bytes / 4, spread + 2 * ky * p->row_bytes);
    }
  }
}

static void four_pixels(const td_slice *s, int32_t pixel) {
  spread_pixels(s, pixel);
  int8_t *out = s->out + pixel * s->p->out_c;
  td_four_pixels four = {s->spread,   s->spread + 8 * s->quads, s->records,   out,
                         s->p->out_c, out + s->channels,        s->quads & 1, s->weights};
  td_run_four_pixels(&four);
}

#endif

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
  const int32_t quads = (td_conv_2d_patch_bytes(p) + 3) / 4;
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const td_pair_record *records = (const td_pair_record *)p->requant;
  const int32_t pairs = (channels + 1) / 2;
  td_slice s = {.p = p, .channels = channels, .quads = quads};
  s.rows_of_fours =
      (p->kernel_w == 1 || (p->dilation_w == 1 && p->groups == 1)) && p->row_bytes % 4 == 0;
  s.flat = s.rows_of_fours && p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 &&
           p->stride_w == 1 && p->row_bytes == p->in_c / p->groups;
  s.spread = scratch;
  s.column = (int8_t *)(s.spread + 8 * quads);
  memset(s.column, 0, (uint32_t)(4 * quads));
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t g = 0; g < p->groups; ++g) {
      s.image = in + n * p->in_h * p->in_w * p->in_c + g * (p->in_c / p->groups);
      s.out = out + n * pixels * p->out_c + g * channels;
      s.weights = p->weights + g * pairs * 8 * quads;
      s.records = records + g * pairs;
      all_pixels(&s, pixels);
    }
  }
  td_clamp(out, p->batches * pixels * p->out_c, p->low, p->high);
}
