#include "td_depthwise_conv_2d.h"
#include "td_simd.h"
#include "td_taps.h"

/* Four channels of a window: bytes 0 and 2 of a word meet those of four weights, then 1 and 3. */
static __attribute__((noinline)) void four_channels(const intptr_t *offset, int32_t taps,
                                                    uintptr_t origin, const int8_t *weights,
                                                    const td_record *r, int8_t *out) {
  int32_t a = r[0].folded, b = r[1].folded, c = r[2].folded, d = r[3].folded;
  for (const int8_t *end = weights + 4 * taps; weights != end; weights += 4) {
    const uint32_t x = td_load4(td_tap(origin, *offset++)), w = td_load4(weights);
    const uint32_t x_even = td_even_bytes(x), w_even = td_even_bytes(w);
    const uint32_t x_odd = td_odd_bytes(x), w_odd = td_odd_bytes(w);
    a = td_bottom(x_even, w_even, a);
    b = td_bottom(x_odd, w_odd, b);
    c = td_top(x_even, w_even, c);
    d = td_top(x_odd, w_odd, d);
  }
  out[0] = td_finish(r[0], a);
  out[1] = td_finish(r[1], b);
  out[2] = td_finish(r[2], c);
  out[3] = td_finish(r[3], d);
}

void td_s8_depthwise_conv_2d__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                  void *scratch) {
  const int32_t taps = p->kernel_h * p->kernel_w;
  int8_t *const all = out;
  td_taps t = td_taps_init(p, scratch);
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x) {
        const td_record *records = (const td_record *)p->requant;
        const int8_t *weights = p->weights;
        td_taps_move(p, &t, in, y, x);
        for (int32_t c = 0; c < p->out_c; c += 4, out += 4, records += 4, weights += 4 * taps) {
          four_channels(t.offsets, taps, t.origin + (uintptr_t)c, weights, records, out);
        }
      }
    }
    in += p->in_h * p->in_w * p->in_c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * p->out_c, p->low, p->high);
}
