/* CONV_2D with Helium, for int8, or for int16 where TD_ELEMENT and TD_MVE_16X8 say so.
 *
 * Patches that lie in one row of an image are read there. Others are gathered for `strip` output
 * pixels of a row at once: the columns of the input that these see, side by side, each with its
 * kernel_h pieces from one row of the image each. A patch is then kernel_w columns, and the next
 * pixel's begins stride_w columns later. */
#ifndef TD_MVE_CONV_2D_H
#define TD_MVE_CONV_2D_H

#include "td_conv_2d.h"
#include "td_mve.h"
#include "td_patch.h"

enum {
  ELEMENT = sizeof(td_element), /* bytes */
  RUN = 16                      /* pixels that are read again for each four channels */
};

/* One group of one image, and how far it is done. */
typedef struct {
  const td_conv_2d *p;
  td_mve_pixels start;  /* of each pixel */
  const int8_t *end;    /* of the whole input */
  int8_t *scratch;      /* two buffers if a pixel may have to wait */
  int32_t buffer_bytes; /* for the columns of `strip` pixels, or for one patch */
  int32_t depth, pitch; /* bytes of a piece, of a column */
  int32_t columns;      /* of which one vector holds the pieces of a row; or 0 */
  uint8x16_t places;    /* where a vector's bytes go then */
  td_element *out;      /* of the next pixel */
  const int8_t *first;  /* patch of a pixel that waits for another; or NULL */
} td_mve_group;

static void pairs(td_mve_group *g, const int8_t *first, const int8_t *second, int32_t move,
                  int32_t count) {
  const int32_t out_c = g->p->out_c;
  const int32_t channels = g->start.channels;
  td_mve_pairs all = {.now = g->start,
                      .count = count,
                      .channels = channels,
                      .requant = g->start.requant,
                      .move = move,
                      .out_move = ELEMENT * (2 * out_c - channels)};
  all.now.out[0] = g->out;
  all.now.out[1] = g->out + out_c;
  all.now.first = first;
  all.now.second = second;
  td_mve_two_pixels(&all);
  g->out += 2 * count * out_c;
}

static void one_chunk(td_mve_group *g, const int8_t *patch, int32_t step, int32_t count) {
  td_mve_run run = {.channels = g->start.channels,
                    .count = count,
                    .first = patch,
                    .out = g->out,
                    .weights = g->start.weights,
                    .bias = g->start.bias,
                    .step = step,
                    .out_step = ELEMENT * g->p->out_c,
                    .offset = g->start.offset,
                    .requant = g->start.requant};
  td_mve_one_chunk(&run);
  g->out += count * g->p->out_c;
}

/* The next `count` pixels, with patches `step` bytes apart. One may be left waiting. */
static void run(td_mve_group *g, const int8_t *patch, int32_t step, int32_t count) {
  if (g->start.chunks == 1) {
    one_chunk(g, patch, step, count);
    return;
  }
  if (g->first != NULL) {
    pairs(g, g->first, patch, 0, 1);
    g->first = NULL;
    patch += step;
    --count;
  }
  if (count > 1) pairs(g, patch, patch + step, 2 * step, count / 2);
  if (count % 2 != 0) g->first = patch + (count - 1) * step;
}

/* The buffer that no waiting pixel needs. */
static inline int8_t *free_buffer(const td_mve_group *g) {
  const uintptr_t at = (uintptr_t)g->first - (uintptr_t)g->scratch;
  return g->scratch + (at < (uintptr_t)g->buffer_bytes ? g->buffer_bytes : 0);
}

/* Patches `step` bytes apart in the image; those are copied that end too close to the input's end
 * for whole vectors. */
static void run_in_place(td_mve_group *g, const int8_t *patch, int32_t step, int32_t count) {
  const int32_t bytes = 16 * g->start.chunks, room = g->end - patch - bytes;
  int32_t whole = room < 0 ? 0 : room / step + 1;
  if (whole > count) whole = count;
  count -= whole;
  while (whole > 0) {
    const int32_t next = g->start.chunks == 1 && whole > RUN ? RUN : whole;
    run(g, patch, step, next);
    patch += next * step;
    whole -= next;
  }
  for (; count > 0; --count, patch += step) {
    int8_t *copy = free_buffer(g);
    td_copy(copy, patch, g->p->kernel_w * g->depth);
    run(g, copy, 0, 1);
  }
}

/* Pieces `step` bytes apart, into `count` columns. */
static void copy_pieces(const td_mve_group *g, int8_t *to, const int8_t *from, int32_t count) {
  const int32_t depth = g->depth, pitch = g->pitch;
  const int32_t step = ELEMENT * g->p->dilation_w * g->p->in_c;
  if (g->columns > 0) {
    const int32_t bytes = g->columns * depth, whole = count / g->columns;
    __asm__ volatile(
        "vctp.8 %[bytes]\n\t"
        "wls lr, %[whole], 2f\n"
        "1:\n\t"
        "vpstt\n\t"
        "vldrbt.8 q0, [%[from]]\n\t"
        "vstrbt.8 q0, [%[to], %q[places]]\n\t"
        "add %[from], %[from], %[bytes]\n\t"
        "add %[to], %[to], %[move]\n\t"
        "le lr, 1b\n"
        "2:\n\t"
        "vctp.8 %[rest]\n\t"
        "vpstt\n\t"
        "vldrbt.8 q0, [%[from]]\n\t"
        "vstrbt.8 q0, [%[to], %q[places]]\n\t"
        : [from] "+r"(from), [to] "+r"(to)
        : [bytes] "r"(bytes), [whole] "r"(whole), [places] "w"(g->places),
          [move] "r"(g->columns * pitch), [rest] "r"(count * depth - whole * bytes)
        : "lr", "q0", "cc", "memory");
  } else if (depth <= 16) {
    __asm__ volatile(
        "vctp.8 %[depth]\n\t"
        "wls lr, %[count], 2f\n"
        "1:\n\t"
        "vpstt\n\t"
        "vldrbt.8 q0, [%[from]]\n\t"
        "vstrbt.8 q0, [%[to]]\n\t"
        "add %[from], %[from], %[step]\n\t"
        "add %[to], %[to], %[pitch]\n\t"
        "le lr, 1b\n"
        "2:\n\t"
        : [from] "+r"(from), [to] "+r"(to)
        : [depth] "r"(depth), [count] "r"(count), [step] "r"(step), [pitch] "r"(pitch)
        : "lr", "q0", "cc", "memory");
  } else {
    for (; count > 0; --count, from += step, to += pitch) td_copy(to, from, depth);
  }
}

/* The columns of `count` pixels, the first of which has its patch at (top, left). */
static void gather(const td_mve_group *g, const int8_t *image, int32_t top, int32_t left,
                   int32_t count) {
  const td_conv_2d *p = g->p;
  const int32_t step = p->dilation_w, zero = p->in_zero_point;
  const int32_t columns = (count - 1) * p->stride_w + p->kernel_w;
  int32_t before = left < 0 ? (step - 1 - left) / step : 0;
  int32_t end = (p->in_w - left + step - 1) / step;
  int8_t *to = free_buffer(g);
  if (before > columns) before = columns;
  if (end > columns) end = columns;
  td_fill(to, zero, before * g->pitch);
  td_fill(to + end * g->pitch, zero, (columns - end) * g->pitch);
  to += before * g->pitch;
  left += before * step;
  for (int32_t ky = 0; ky < p->kernel_h; ++ky, top += p->dilation_h, to += g->depth) {
    if (top >= 0 && top < p->in_h) {
      copy_pieces(g, to, image + ELEMENT * (top * p->in_w + left) * p->in_c, end - before);
    } else {
      for (int32_t i = 0; i < end - before; ++i) td_fill(to + i * g->pitch, zero, g->depth);
    }
  }
}

static void image_group(td_mve_group *g, const int8_t *image) {
  const td_conv_2d *p = g->p;
  const int32_t pixel = ELEMENT * p->in_c;
  g->first = NULL;
  if (p->strip == 0 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1) {
    run_in_place(g, image, pixel, p->out_h * p->out_w);
  } else {
    for (int32_t y = 0; y < p->out_h; ++y) {
      const int32_t top = y * p->stride_h - p->pad_h;
      if (p->strip == 0) {
        run_in_place(g, image + top * p->in_w * pixel, p->stride_w * pixel, p->out_w);
        continue;
      }
      for (int32_t x = 0; x < p->out_w; x += p->strip) {
        const int32_t count = p->out_w - x < p->strip ? p->out_w - x : p->strip;
        int8_t *columns = free_buffer(g);
        gather(g, image, top, x * p->stride_w - p->pad_w, count);
        run(g, columns, p->stride_w * g->pitch, count);
      }
    }
  }
  if (g->first != NULL) {
    td_mve_pixels last = g->start;
    last.out[0] = g->out;
    last.first = g->first;
    td_mve_one_pixel(&last);
  }
}

/* How the pieces of a row can be brought to several columns at once. */
static void find_places(td_mve_group *g) {
  uint8_t places[16];
  int32_t columns = 16 / g->depth, most = 1 + (256 - g->depth) / g->pitch;
  if (columns > most) columns = most;
  if (columns < 2 || g->p->groups > 1 || g->p->dilation_w > 1) return;
  g->columns = columns;
  for (int32_t i = 0; i < 16; ++i) {
    places[i] = (uint8_t)(i / g->depth * g->pitch + i % g->depth);
  }
  g->places = vld1q_u8(places);
}

static inline void td_mve_conv_2d(const td_conv_2d *p, const void *in, td_element *out,
                                  void *scratch) {
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const int32_t depth = ELEMENT * p->in_c / p->groups, pitch = p->kernel_h * depth;
  const int32_t image_bytes = ELEMENT * p->in_h * p->in_w * p->in_c;
  const int32_t chunks = (p->kernel_w * pitch + 15) / 16, fours = (channels + 3) / 4;
  const int32_t row = TD_MVE_ROW_WORDS;
  const int8_t *image = in;
  td_mve_group g = {.p = p,
                    .start = {.channels = channels,
                              .step = 4 * row,
                              .offset = p->out_zero_point,
                              .chunks = chunks,
                              .low = p->low,
                              .high = p->high},
                    .end = image + p->batches * image_bytes,
                    .scratch = scratch,
                    .buffer_bytes = 16 * chunks,
                    .depth = depth,
                    .pitch = pitch};
  if (p->strip > 0) {
    g.buffer_bytes += (p->strip - 1) * p->stride_w * pitch;
    if (depth <= 8) find_places(&g);
  }
  for (int32_t n = 0; n < p->batches; ++n, image += image_bytes) {
    for (int32_t i = 0; i < p->groups; ++i) {
      g.out = out + n * pixels * p->out_c + i * channels;
      g.start.weights = p->weights + i * fours * chunks * (64 / ELEMENT);
      g.start.bias = p->requant + i * fours * (4 + row);
      g.start.requant = g.start.bias + fours * 4;
      image_group(&g, image + i * depth);
    }
  }
  if (chunks == 1) td_mve_clamp(out, p->batches * pixels * p->out_c, p->low, p->high);
}

#endif
