#include "td_depthwise_conv_2d.h"
#include "td_fixedpoint.h"
#include "td_taps.h"

static inline int8_t finish(const td_depthwise_conv_2d *p, const int32_t *requant, uint32_t acc) {
  const int32_t v = td_requantize((int32_t)(acc + (uint32_t)requant[0]), requant[1], requant[2]);
  return td_offset_and_saturate(v, p->out_zero_point);
}

/* Output channels o to o + 3 from as many input channels. */
static void four_channels(const td_depthwise_conv_2d *p, const td_taps *t, int32_t o, int8_t *out) {
  const intptr_t *offset = t->offsets, *const end = offset + p->kernel_h * p->kernel_w;
  const int8_t *w = p->weights + o;
  const int32_t *requant = p->requant + 3 * o;
  const uintptr_t origin = t->origin + (uintptr_t)o;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  for (; offset != end; ++offset, w += p->out_c) {
    const int8_t *x = td_tap(origin, *offset);
    a += (uint32_t)(x[0] * w[0]);
    b += (uint32_t)(x[1] * w[1]);
    c += (uint32_t)(x[2] * w[2]);
    d += (uint32_t)(x[3] * w[3]);
  }
  out[o] = finish(p, requant, a);
  out[o + 1] = finish(p, requant + 3, b);
  out[o + 2] = finish(p, requant + 6, c);
  out[o + 3] = finish(p, requant + 9, d);
}

static void one_channel(const td_depthwise_conv_2d *p, const td_taps *t, int32_t i, int32_t o,
                        int8_t *out) {
  const intptr_t *offset = t->offsets, *const end = offset + p->kernel_h * p->kernel_w;
  const int8_t *w = p->weights + o;
  const uintptr_t origin = t->origin + (uintptr_t)i;
  uint32_t acc = 0;
  for (; offset != end; ++offset, w += p->out_c) {
    acc += (uint32_t)(*td_tap(origin, *offset) * *w);
  }
  out[o] = finish(p, p->requant + 3 * o, acc);
}

static void window(const td_depthwise_conv_2d *p, const td_taps *t, int8_t *out) {
  int32_t o = 0;
  if (p->in_c == p->out_c) {
    for (; o + 4 <= p->out_c; o += 4) four_channels(p, t, o, out);
    for (; o < p->out_c; ++o) one_channel(p, t, o, o, out);
    return;
  }
  for (int32_t i = 0; i < p->in_c; ++i) {
    for (int32_t m = 0; m < p->out_c / p->in_c; ++m) one_channel(p, t, i, o++, out);
  }
}

void td_s8_depthwise_conv_2d__scalar(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                     void *scratch) {
  int8_t *const all = out;
  td_taps t = td_taps_init(p, scratch);
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x) {
        td_taps_move(p, &t, in, y, x);
        window(p, &t, out);
        out += p->out_c;
      }
    }
    in += p->in_h * p->in_w * p->in_c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * p->out_c, p->low, p->high);
}
