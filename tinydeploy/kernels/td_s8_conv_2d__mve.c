#include "td_conv_2d.h"
#include "td_mve.h"
#include "td_patch.h"

/* One group of one image, and how far it is done. */
typedef struct {
  const td_conv_2d *p;
  const int8_t *image; /* from the first channel of the group on */
  const int8_t *end;   /* of the whole input */
  int32_t bytes;       /* of a padded patch */
  int32_t flat;        /* output pixel i is input pixel i */
  int32_t whole_rows;  /* a row of weights is one run in the image */
  int32_t top, left;   /* of the next pixel's patch in the image */
  int32_t right;       /* `left` behind the last pixel of a row */
} td_slice;

/* `count` rows of `bytes` bytes, at most 16, to `to`; in lanes outside `mask`, `fill`. Writes 16
 * bytes for each. */
static inline int8_t *copy_short_rows(int8_t *to, const int8_t *from, int32_t step, int32_t bytes,
                                      int32_t count, uint32_t mask, int8x16_t fill) {
  const int8_t *row = from;
  for (mve_pred16_t lanes = (mve_pred16_t)mask; count > 0; --count, to += bytes, row += step) {
    vst1q_s8(to, vpselq_s8(vldrbq_z_s8(row, lanes), fill, lanes));
  }
  return to;
}

/* The patch at (top, left) that lies inside the image, 16 bytes at a time: what is too much of a
 * row is written over by the next one. */
static void gather_inside(const td_slice *s, int8_t *column) {
  const td_conv_2d *p = s->p;
  const int32_t step = p->dilation_h * p->in_w * p->in_c, vectors = (p->row_bytes + 15) / 16;
  const int8_t *row = s->image + (s->top * p->in_w + s->left) * p->in_c;
  for (int32_t ky = p->kernel_h; ky > 0; --ky, column += p->row_bytes, row += step) {
    const int8_t *from = row;
    int8_t *to = column;
    __asm__ volatile(
        "dls lr, %[vectors]\n"
        "1:\n\t"
        "vldrb.8 q0, [%[from]], #16\n\t"
        "vstrb.8 q0, [%[to]], #16\n\t"
        "le lr, 1b\n\t"
        : [from] "+r"(from), [to] "+r"(to)
        : [vectors] "r"(vectors)
        : "lr", "q0", "memory");
  }
}

/* The patch at (top, left) with rows that a vector holds, anywhere. */
static void gather_short_rows(const td_slice *s, int8_t *column) {
  const td_conv_2d *p = s->p;
  const int32_t bytes = p->row_bytes, last = (p->in_w - s->left) * p->in_c;
  const int32_t above = s->top < 0 ? -s->top : 0;
  const int32_t inside = (p->in_h - s->top < p->kernel_h ? p->in_h - s->top : p->kernel_h) - above;
  const int8x16_t fill = vdupq_n_s8((int8_t)p->in_zero_point);
  const int8_t *from = s->image + ((s->top + above) * p->in_w + s->left) * p->in_c;
  uint32_t mask = (1u << (last < bytes ? last : bytes)) - 1;
  if (s->left < 0) mask &= ~0u << (-s->left * p->in_c);
  column = copy_short_rows(column, from, 0, bytes, above, 0, fill);
  column = copy_short_rows(column, from, p->in_w * p->in_c, bytes, inside, mask, fill);
  copy_short_rows(column, from, 0, bytes, p->kernel_h - above - inside, 0, fill);
}

/* Whether gather_inside() reads what lies in the image, or right behind it. */
static inline int32_t is_inside(const td_slice *s) {
  const td_conv_2d *p = s->p;
  const int32_t behind = s->top + (p->kernel_h - 1) * p->dilation_h + 1;
  return s->whole_rows && s->left >= 0 && s->left + p->kernel_w <= p->in_w && s->top >= 0 &&
         behind < p->in_h && p->in_w * p->in_c >= 16;
}

/* The next pixel's patch; in `column` unless it lies in the input with all its padding. */
static const int8_t *next_patch(td_slice *s, int8_t *column) {
  const td_conv_2d *p = s->p;
  const int8_t *from = column;
  if (s->flat) {
    from = s->image;
    s->image += p->in_c;
  } else {
    if (is_inside(s)) {
      gather_inside(s, column);
    } else if (s->whole_rows && p->row_bytes <= 16 && p->dilation_h == 1) {
      gather_short_rows(s, column);
    } else {
      from = td_patch_at(p, s->image, s->top, s->left, column);
    }
    s->left += p->stride_w;
    if (s->left == s->right) {
      s->left = -p->pad_w;
      s->top += p->stride_h;
    }
  }
  if (from == column || s->end - from >= s->bytes) return from;
  td_copy(column, from, td_conv_2d_patch_bytes(p));
  return column;
}

static void all_pixels(td_slice *s, const td_mve_pixels *start, int8_t *column) {
  const int32_t in_c = s->p->in_c, out_c = s->p->out_c;
  td_mve_pixels two = *start;
  int8_t *out = start->out[0];
  for (int32_t left = s->p->out_h * s->p->out_w; left > 0; left -= 2, out += 2 * out_c) {
    two.channels = start->channels;
    two.requant = start->requant;
    two.out[0] = out;
    two.out[1] = out + out_c;
    if (s->flat && s->end - s->image >= s->bytes + in_c) {
      two.first = s->image;
      two.second = s->image + in_c;
      s->image += 2 * in_c;
    } else {
      two.first = next_patch(s, column);
      if (left > 1) two.second = next_patch(s, column + s->bytes);
    }
    if (left > 1) {
      td_mve_two_pixels(&two);
    } else {
      td_mve_one_pixel(&two);
    }
  }
}

void td_s8_conv_2d__mve(const td_conv_2d *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t pixels = p->out_h * p->out_w, channels = p->out_c / p->groups;
  const int32_t depth = p->in_c / p->groups, image_bytes = p->in_h * p->in_w * p->in_c;
  const int32_t chunks = (td_conv_2d_patch_bytes(p) + 15) / 16, fours = (channels + 3) / 4;
  td_slice s = {.p = p, .end = in + p->batches * image_bytes, .bytes = 16 * chunks};
  td_mve_pixels start = {.channels = channels,
                         .step = 32,
                         .offset = p->out_zero_point,
                         .chunks = chunks,
                         .low = p->low,
                         .high = p->high};
  s.right = p->out_w * p->stride_w - p->pad_w;
  s.flat = p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1;
  s.whole_rows = p->kernel_h > 1 && p->groups == 1 && p->dilation_w == 1;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t g = 0; g < p->groups; ++g) {
      s.image = in + n * image_bytes + g * depth;
      s.top = -p->pad_h;
      s.left = -p->pad_w;
      start.out[0] = out + n * pixels * p->out_c + g * channels;
      start.weights = p->weights + g * fours * 64 * chunks;
      start.bias = p->requant + g * fours * 12;
      start.requant = start.bias + fours * 4;
      all_pixels(&s, &start, scratch);
    }
  }
}
