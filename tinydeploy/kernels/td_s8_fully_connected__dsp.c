#include "td_dot.h"
#include "td_fully_connected.h"
#include "td_simd.h"

void td_s8_fully_connected__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch) {
  const int32_t quads = (p->in_depth + 3) / 4;
  uint32_t *const spread = scratch;
  int8_t *const padded = (int8_t *)(spread + 2 * quads);
  int8_t *const all = out;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_depth) {
    const td_record *record = (const td_record *)p->requant;
    const int32_t offset = (int32_t)td_fully_connected_offset(p, in);
    const int8_t *weights = p->weights, *from = in;
    if (p->in_depth % 4 != 0) {
      padded[4 * quads - 1] = padded[4 * quads - 2] = padded[4 * quads - 3] = 0;
      memcpy(padded, in, (uint32_t)p->in_depth);
      from = padded;
    }
    for (int32_t i = 0; i < quads; ++i) {
      const uint32_t word = td_load4(from + 4 * i);
      spread[2 * i] = td_even_bytes(word);
      spread[2 * i + 1] = td_odd_bytes(word);
    }
    for (int32_t o = 0; o < p->out_depth; o += 4, weights += 16 * quads) {
      const int32_t lanes = p->out_depth - o < 4 ? p->out_depth - o : 4;
      int32_t acc[4] = {0};
      td_dot_1x4(spread, weights, quads, acc);
      for (int32_t i = 0; i < lanes; ++i, ++record) {
        const int32_t sum =
            (int32_t)((uint32_t)acc[i] + (uint32_t)record->folded - (uint32_t)offset);
        *out++ = td_finish(*record, sum);
      }
    }
  }
  td_clamp(all, p->batches * p->out_depth, p->low, p->high);
}
