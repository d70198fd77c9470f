#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

/* A line of the input, four channels after four, is kept as
 *     pairs: int16 [pairs, 4, 2], indices over pairs of neighbours, channels, neighbours
 * so that two products are one instruction: an output of even place takes the pair from its place
 * on with weights (0, 1), the one behind it the same pair with (-1, 0), and so on. */

enum { BLOCK = 6 /* outputs at once */ };

/* Four channels of a line. */
typedef struct {
  const uint32_t *pairs;
  const int8_t *weights;
  int32_t weights_bytes; /* of a channel */
  const td_record *record;
  int8_t *out;
  int32_t count, step; /* outputs; bytes from one to the next */
} td_line;

static void gather(const int8_t *in, int32_t place, int32_t count, int32_t step, uint32_t zeros,
                   uint32_t *to, const uint32_t *end) {
  for (int32_t at = place * step; to != end; to += 4, place += 2, at += 2 * step) {
    uint32_t a = zeros, b = zeros;
    if (place >= 0 && place < count) a = td_load4(in + at);
    if (place + 1 >= 0 && place + 1 < count) b = td_load4(in + at + step);
    const uint32_t low = (a & 0xffff) | b << 16, high = a >> 16 | (b & 0xffff0000);
    to[0] = td_even_bytes(low);
    to[1] = td_odd_bytes(low);
    to[2] = td_even_bytes(high);
    to[3] = td_odd_bytes(high);
  }
}

static __attribute__((noinline)) void four_channels(const td_line *line) {
  const int32_t step = line->step;
  const int8_t *weights = line->weights;
  for (int32_t c = 0; c < 4; ++c) {
    const td_record r = line->record[c];
    const int8_t *const end = weights + line->weights_bytes;
    const uint32_t *first = line->pairs + c;
    int8_t *out = line->out + c;
    for (int32_t count = line->count; count > 0; count -= BLOCK, first += 4 * BLOCK / 2) {
      const uint32_t *pairs = first;
      uint32_t x0 = pairs[0], x2 = pairs[4];
      int32_t a0 = r.folded, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
      const int8_t *w = weights;
      do {
        const uint32_t x4 = pairs[8], word = td_load4(w);
        const uint32_t even = td_even_bytes(word), odd = td_odd_bytes(word);
        pairs += 4;
        w += 4;
        a0 = td_dot2(x0, even, a0);
        a1 = td_dot2(x0, odd, a1);
        a2 = td_dot2(x2, even, a2);
        a3 = td_dot2(x2, odd, a3);
        a4 = td_dot2(x4, even, a4);
        a5 = td_dot2(x4, odd, a5);
        x0 = x2;
        x2 = x4;
      } while (w != end);
      *out = td_finish(r, a0), out += step;
      if (count == 1) break;
      *out = td_finish(r, a1), out += step;
      if (count == 2) break;
      *out = td_finish(r, a2), out += step;
      if (count == 3) break;
      *out = td_finish(r, a3), out += step;
      if (count == 4) break;
      *out = td_finish(r, a4), out += step;
      if (count == 5) break;
      *out = td_finish(r, a5), out += step;
    }
    weights = end;
  }
}

void td_s8_depthwise_conv_2d_line__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                       void *scratch) {
  const int32_t c = p->in_c, words = p->kernel_w / 2 + 1, lines = p->in_h;
  const int32_t next = p->transposed ? c : p->in_w * c, out_next = p->transposed ? c : p->out_w * c;
  const int32_t step = p->transposed ? lines * c : c;
  const uint32_t zeros = (uint32_t)(p->in_zero_point & 0xff) * 0x01010101u;
  uint32_t *const pairs = scratch;
  const uint32_t *const end = pairs + 4 * ((p->out_w + BLOCK - 1) / BLOCK * BLOCK / 2 + words);
  int8_t *const all = out;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = 0; y < lines; ++y) {
      td_line line = {
          pairs,    p->weights, 4 * words, (const td_record *)p->requant, out + y * out_next,
          p->out_w, step};
      const int8_t *from = in + y * next;
      for (const int8_t *const last = from + c; from != last; from += 4) {
        gather(from, -p->pad_w, p->in_w, step, zeros, pairs, end);
        four_channels(&line);
        line.weights += 16 * words;
        line.record += 4;
        line.out += 4;
      }
    }
    in += lines * p->in_w * c;
    out += lines * p->out_w * c;
  }
  td_clamp(all, p->batches * lines * p->out_w * c, p->low, p->high);
}
