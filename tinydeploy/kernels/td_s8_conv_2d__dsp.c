#include <stddef.h>

#include "td_conv_2d.h"
#include "td_patch.h"
#include "td_simd.h"

/* Hosts do as cores with a floating-point unit do. */
#if !defined(__OPTIMIZE_SIZE__) && (defined(__ARM_FP) || !defined(TD_HAS_DSP))
#include "td_dot_fpu.h"
#define FOURS TD_FOURS
#define COPIES 0
#else
#include "td_dot_pairs.h"
#define FOURS 0
#ifdef __OPTIMIZE_SIZE__
#define COPIES 0
#else
#define COPIES 1
#endif
#endif

/* One group of one image. */
typedef struct {
  const td_conv_2d *p;
  const int8_t *image;           /* from the first channel of the group on */
  int8_t *out;                   /* likewise */
  const int8_t *weights;         /* of the group */
  const td_pair_record *records; /* of the group */
  int32_t channels;              /* of its output */
  int32_t words;                 /* of a patch that is spread */
  int32_t rows_of_fours; /* a row of weights is one run of a multiple of 4 bytes in the image */
  int32_t flat;          /* ... and output pixel i is input pixel i */
  int32_t last_top, last_left; /* of a patch that lies in the image */
  int32_t last,
      last_row;       /* where a patch, or a row of it, can begin that is read in place; or -1 */
  int32_t apart;      /* bytes between the patches of two pixels */
  td_runs runs;       /* of a patch in `column`... */
  td_run_bytes bytes; /* ... and in the image */
  int8_t *column;     /* zeros behind its rows and the patch */
  uint32_t *spread;   /* [block / 4, words, 4] */
  int32_t block;      /* pixels spread at once, a multiple of 4 */
  int8_t *copy;       /* of a pair's weights, where td_copies_weights */
  int32_t above;      /* the output's zero point is -128 */
} td_slice;

#ifdef __OPTIMIZE_SIZE__

static const int8_t *patch_of(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  return td_patch(p, s->image, pixel / p->out_w, pixel % p->out_w, s->column);
}

#else

/* `before` bytes of the zero point and `count` of `from`; returns what lies behind them. */
static __attribute__((noinline)) int8_t *gather(const td_slice *s, int8_t *to, int32_t before,
                                                const int8_t *from, int32_t count) {
  return td_copy(td_fill(to, s->p->in_zero_point, before), from, count);
}

/* So many rows of the patch at (top, left), 4 * quads bytes in all: a copy, as the output may lie
 * over the input. */
static const int8_t *gather_rows(const td_slice *s, int32_t top, int32_t left, int32_t rows) {
  const td_conv_2d *p = s->p;
  const int32_t depth = p->in_c / p->groups, kernel_w = p->kernel_w, right = p->in_w - left;
  const int32_t before = left < 0 ? -left : 0, end = right < kernel_w ? right : kernel_w;
  int8_t *to = s->column;
  for (; rows > 0; --rows, top += p->dilation_h, to += p->row_bytes) {
    if (top < 0 || top >= p->in_h) {
      gather(s, to, kernel_w * depth, s->image, 0);
      continue;
    }
    const int8_t *const row = s->image + top * p->in_w * p->in_c;
    if (p->dilation_w == 1 && p->groups == 1) {
      int8_t *behind =
          gather(s, to, before * depth, row + (left + before) * depth, (end - before) * depth);
      if (end < kernel_w) gather(s, behind, (kernel_w - end) * depth, row, 0);
      continue;
    }
    int8_t *next = to;
    for (int32_t kx = 0, u = left; kx < kernel_w; ++kx, u += p->dilation_w) {
      const int32_t inside = u >= 0 && u < p->in_w;
      next =
          gather(s, next, inside ? 0 : depth, row + (inside ? u * p->in_c : 0), inside ? depth : 0);
    }
  }
  return s->column;
}

static const int8_t *patch_of(const td_slice *s, int32_t pixel) {
  const td_conv_2d *p = s->p;
  return gather_rows(s, pixel / p->out_w * p->stride_h - p->pad_h,
                     pixel % p->out_w * p->stride_w - p->pad_w, p->kernel_h);
}

#endif

/* One of four pixels. */
static void spread_runs(const td_runs *runs, const int8_t *from, uint32_t *spread) {
  for (int32_t run = 0; run < runs->runs; ++run, from += runs->step) {
    spread = td_spread_1(from, runs->quads, runs->half, spread);
  }
}

static int32_t is_above(const td_slice *s) {
#ifdef __OPTIMIZE_SIZE__
  (void)s;
  return TD_ALWAYS_ABOVE;
#else
  return TD_ALWAYS_ABOVE || s->above;
#endif
}

#if FOURS

/* The last channels where they are fewer than four: the others go nowhere. */
static void run_part(const td_slice *s, td_pixels run, int32_t channels) {
  const td_pair_record records[2] = {run.record[0], run.record[channels > 2]};
  const uint32_t *const end = run.spread_end;
  int8_t *to = run.out, fours[16];
  const int32_t row = run.row;
  run.record = records;
  run.out = fours;
  run.row = 4;
  for (; run.spread != end; run.spread = run.spread_end) {
    run.spread_end = run.spread + 4 * s->words;
    td_run_fours(&run, s->words, is_above(s));
    for (int32_t i = 0; i < 16; i += 4, to += row) td_copy(to, fours + i, channels);
  }
}

static void run_fours(const td_slice *s, td_pixels run) {
  const int32_t pair_bytes = 4 * s->words;
  const int8_t *from = run.weights;
  run.weights = s->copy;
  run.weights_end = s->copy + 2 * pair_bytes;
  for (int32_t left = s->channels; left > 0; left -= 4, from += 2 * pair_bytes) {
    td_weave(s->copy, from, left > 2 ? from + pair_bytes : from, s->words);
    if (left < 4) {
      run_part(s, run, left);
      return;
    }
    td_run_fours(&run, s->words, is_above(s));
    run.record += 2;
    run.out += 4;
  }
}

#endif

/* The last channel, if it is alone: of a pair whose other half goes nowhere. */
static void run_lone(const td_slice *s, td_pixels run, int8_t *out) {
  int8_t pairs[8];
  const uint32_t *const end = run.spread_end;
  const int32_t row = run.row;
  run.row = 2;
  run.end = run.record + 1;
  for (; run.spread != end; run.spread = run.spread_end) {
    run.out = pairs;
    run.spread_end = run.spread + 4 * s->words;
    td_run_pairs(&run, s->words, is_above(s));
    for (int32_t i = 0; i < 8; i += 2, out += row) *out = pairs[i];
  }
}

/* Computes `pixels`, a multiple of 4, that are spread; the first lies at `out`, each of the others
 * `row` bytes behind the one before. */
static void run_spread(const td_slice *s, int32_t pixels, int8_t *out, int32_t row) {
  const int32_t pair_bytes = 4 * s->words, channels = s->channels;
  td_pixels run = {s->spread,
                   s->weights,
                   s->records,
                   out,
                   row,
                   s->weights + pair_bytes,
                   0,
                   s->spread + pixels * s->words,
                   2 - pixels * row,
                   s->records + channels / 2};
#if FOURS
  if (td_runs_fours(s->words, pixels)) {
    run_fours(s, run);
    return;
  }
#elif COPIES
  if (td_copies_weights(s->words, pixels)) {
    const td_pair_record *end = run.end;
    const int8_t *from = run.weights;
    run.weights = s->copy;
    run.weights_end = s->copy + pair_bytes;
    for (; run.record != end; ++run.record, run.out += 2, from += pair_bytes) {
      td_copy_words(s->copy, from, s->words);
      run.end = run.record + 1;
      td_run_pairs(&run, s->words, is_above(s));
    }
  } else
#endif
  if (channels > 1) {
    td_run_pairs(&run, s->words, is_above(s));
  }
  if (channels % 2 == 0) return;
  run.record = s->records + channels / 2;
  run.weights = s->weights + channels / 2 * pair_bytes;
  run.weights_end = run.weights + pair_bytes;
  run_lone(s, run, out + channels - 1);
}

#ifdef __OPTIMIZE_SIZE__

#define BLOCK(p) 4

/* Four pixels, or with a `count` of 0 one: all four sums are its own. */
static void run_pixels(const td_slice *s, int32_t pixel, int32_t count) {
  const td_conv_2d *p = s->p;
  const int32_t step = count / 4;
  for (int32_t i = 0; i < 4; ++i) {
    spread_runs(&s->runs, patch_of(s, pixel + i * step), s->spread + i);
  }
  run_spread(s, 4, s->out + pixel * p->out_c, step * p->out_c);
}

static void one_pixel(const td_slice *s, int32_t pixel) { run_pixels(s, pixel, 0); }

#else

#define BLOCK(p) (p)->strip

static void one_pixel(const td_slice *s, int32_t pixel) {
  td_run_pixel(patch_of(s, pixel), &s->runs, s->records, s->weights, s->out + pixel * s->p->out_c,
               s->channels);
}

/* One of four pixels: what is not in the image is gathered. */
static void spread_pixel(const td_slice *s, int32_t top, int32_t left, uint32_t *spread) {
  const td_conv_2d *p = s->p;
  if (s->last < 0 || left < 0 || left > s->last_left) {
    spread_runs(&s->runs, gather_rows(s, top, left, p->kernel_h), spread);
    return;
  }
  for (int32_t ky = 0; ky < p->kernel_h; ++ky, top += p->dilation_h) {
    const int32_t at = (top * p->in_w + left) * p->in_c;
    const int32_t inside = at >= 0 && at <= s->last_row;
    const int8_t *from = inside ? s->image + at : gather_rows(s, top, left, 1);
    spread = td_spread_1(from, s->runs.quads, s->runs.half, spread);
  }
}

/* Those of four pixels whose patches are not in the image, or `each` of them. */
static __attribute__((noinline)) void spread_at_border(const td_slice *s, int32_t pixel,
                                                       uint32_t *spread, int32_t each) {
  const td_conv_2d *p = s->p;
  for (int32_t i = pixel; i < pixel + 4; ++i, ++spread) {
    const int32_t top = i / p->out_w * p->stride_h - p->pad_h;
    const int32_t left = i % p->out_w * p->stride_w - p->pad_w;
    if (each || top < 0 || top > s->last_top || left < 0 || left > s->last_left) {
      spread_pixel(s, top, left, spread);
    }
  }
}

/* Rows are read in the image each as row_bytes bytes: those behind a row count nothing. Where they
 * are all of the image, what is beyond a border is put right afterwards. */
static void spread_pixels(const td_slice *s, int32_t pixel, uint32_t *spread) {
  const td_conv_2d *p = s->p;
  int32_t inside = 1, at = pixel * p->in_c;
  if (!s->flat) {
    const int32_t y = pixel / p->out_w, x = pixel - y * p->out_w;
    const int32_t top = y * p->stride_h - p->pad_h, left = x * p->stride_w - p->pad_w;
    if (x + 4 > p->out_w || s->last < 0) {
      spread_at_border(s, pixel, spread, 1);
      return;
    }
    at = (top * p->in_w + left) * p->in_c;
    if (at < 0 || at + 3 * s->apart > s->last) {
      spread_at_border(s, pixel, spread, 1);
      return;
    }
    inside = top >= 0 && top <= s->last_top && left >= 0 && left + 3 * p->stride_w <= s->last_left;
  }
  td_spread_4(s->image + at, s->apart, &s->bytes, spread);
  if (!inside) spread_at_border(s, pixel, spread, 0);
}

/* What can be read in place: nothing where a row of weights is no run of fours. */
static void find_insides(td_slice *s) {
  const td_conv_2d *p = s->p;
  const int32_t row = p->in_w * p->in_c, below = (p->kernel_h - 1) * p->dilation_h;
  td_runs runs = s->runs;
  s->last_top = p->in_h - 1 - below;
  s->last_left = p->in_w - p->kernel_w;
  s->last_row = p->in_h * row - p->row_bytes;
  s->last = s->rows_of_fours && s->last_top >= 0 ? s->last_row - below * row : -1;
  s->flat = s->rows_of_fours && p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 &&
            p->stride_w == 1 && p->row_bytes == p->in_c / p->groups;
  if (s->last < 0) return;
  runs.step = p->kernel_h > 1 ? p->dilation_h * row : 0;
  s->bytes = td_bytes_of(&runs);
  s->apart = p->out_w > 1 ? p->stride_w * p->in_c : p->in_c;
}

/* `count` is a multiple of 4. */
static void run_pixels(const td_slice *s, int32_t pixel, int32_t count) {
  uint32_t *spread = s->spread;
  for (int32_t i = 0; i < count; i += 4, spread += 4 * s->words) {
    spread_pixels(s, pixel + i, spread);
  }
  run_spread(s, count, s->out + pixel * s->p->out_c, s->p->out_c);
}

#endif

/* By fours; what is left over is done with the last pixels before it again, or one by one where
 * that is less work. */
static void all_pixels(const td_slice *s, int32_t pixels) {
  const int32_t left = pixels % 4, whole = pixels - left;
  for (int32_t i = 0; i < whole; i += s->block) {
    run_pixels(s, i, i + s->block < whole ? s->block : whole - i);
  }
  if (left > 1 && whole > 0) {
    run_pixels(s, pixels - 4, 4);
  } else {
    for (int32_t i = whole; i < pixels; ++i) one_pixel(s, i);
  }
}

/* A row of weights each where they are of fours, else a single one. */
static void find_runs(td_slice *s) {
  const td_conv_2d *p = s->p;
  const int32_t bytes = s->rows_of_fours ? p->row_bytes : (td_conv_2d_patch_bytes(p) + 3) & ~3;
  const int32_t row = p->kernel_w * (p->in_c / p->groups);
  s->runs.quads = bytes / 4;
  s->runs.half = s->rows_of_fours && row % 4 == 1 && row > 4;
  s->runs.runs = s->rows_of_fours ? p->kernel_h : 1;
  s->runs.step = bytes;
  s->words = s->runs.runs * (2 * s->runs.quads - s->runs.half);
}

void td_s8_conv_2d__dsp(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t quads = (td_conv_2d_patch_bytes(p) + 3) / 4;
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const td_pair_record *records = (const td_pair_record *)p->requant;
  const int32_t pairs = (channels + 1) / 2;
  td_slice s = {.p = p, .channels = channels, .block = BLOCK(p)};
  s.rows_of_fours =
      (p->kernel_w == 1 || (p->dilation_w == 1 && p->groups == 1)) && p->row_bytes % 4 == 0;
  find_runs(&s);
#ifndef __OPTIMIZE_SIZE__
  find_insides(&s);
  s.copy = (int8_t *)scratch + 4 * p->strip * s.words + 4 * quads;
  s.above = p->out_zero_point == -128;
#endif
  s.spread = scratch;
  s.column = (int8_t *)(s.spread + p->strip * s.words);
  memset(s.column, 0, (uint32_t)(4 * quads));
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t g = 0; g < p->groups; ++g) {
      s.image = in + n * p->in_h * p->in_w * p->in_c + g * (p->in_c / p->groups);
      s.out = out + n * pixels * p->out_c + g * channels;
      s.weights = p->weights + g * pairs * 4 * s.words;
      s.records = records + g * pairs;
      all_pixels(&s, pixels);
    }
  }
  td_clamp(out, p->batches * pixels * p->out_c, p->low, p->high);
}
