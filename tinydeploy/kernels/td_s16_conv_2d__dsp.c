#include "td_conv_16x8_loop.h"
#include "td_simd.h"

static inline uint32_t load_pair(const int16_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4); /* a freestanding clang would call memcpy */
  return word;
}

/* acc + four products; the bytes of w are in the order 0, 2, 1, 3. */
static inline int32_t dot4(uint32_t w, uint32_t x01, uint32_t x23, int32_t acc) {
  return td_dot2(td_odd_bytes(w), x23, td_dot2(td_even_bytes(w), x01, acc));
}

/* Sums of four channels. A function of its own keeps clang's registers for them. */
static __attribute__((noinline)) void dot_1x4(const int16_t *x, int32_t count,
                                              const int8_t *weights, int32_t *sums) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (const int16_t *end = x + count; x != end; x += 4, weights += 16) {
    const uint32_t x01 = load_pair(x), x23 = load_pair(x + 2);
    a = dot4(td_load4(weights), x01, x23, a);
    b = dot4(td_load4(weights + 4), x01, x23, b);
    c = dot4(td_load4(weights + 8), x01, x23, c);
    d = dot4(td_load4(weights + 12), x01, x23, d);
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

static void channels(const td_conv_16x8 *p, const int16_t *from, int32_t packed,
                     const int8_t *weights, int32_t channel, int16_t *out) {
  const td_record_16x8 *record = (const td_record_16x8 *)p->requant + channel;
  for (int32_t left = p->out_c / p->groups; left > 0; left -= 4, weights += 4 * packed) {
    int32_t sums[4];
    dot_1x4(from, packed, weights, sums);
    for (int32_t i = 0; i < 4 && i < left; ++i) {
      const int32_t v = td_finish_16x8(record++, (uint32_t)sums[i]);
      *out++ = td_clamp_16(v, p->low, p->high);
    }
  }
}

void td_s16_conv_2d__dsp(const td_conv_16x8 *p, const int16_t *in, int16_t *out, void *scratch) {
  const int32_t patch = p->kernel_h * p->kernel_w * (p->in_c / p->groups);
  td_conv_16x8_all(p, in, out, scratch, (patch + 3) & ~3, channels);
}
