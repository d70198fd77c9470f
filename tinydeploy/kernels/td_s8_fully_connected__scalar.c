#include "td_fixedpoint.h"
#include "td_fully_connected.h"

static inline void dot_1x4(const int8_t *in, const int8_t *weights, int32_t depth, uint32_t *acc) {
  uint32_t a = acc[0], b = a, c = a, d = a;
  const int8_t *const end = in + depth;
#ifdef __thumb2__
  /* A compiler moves an address for every load. */
#define PRODUCT(acc, at)          \
  "ldrsb %[w], [%[weights], #" at \
  "]\n\t"                         \
  "mla " acc ", %[x], %[w], " acc "\n\t"
#define INPUT(at_a, at_b, at_c, at_d)                                                             \
  "ldrsb %[x], [%[in]], #1\n\t" PRODUCT("%[a]", at_a) PRODUCT("%[b]", at_b) PRODUCT("%[c]", at_c) \
      PRODUCT("%[d]", at_d)
  int32_t x, w;
  if (depth >= 4) {
    __asm__ volatile(
        "1:\n\t" INPUT("0", "1", "2", "3") INPUT("4", "5", "6", "7")
        INPUT("8", "9", "10", "11") INPUT("12", "13", "14", "15")
        "adds %[weights], %[weights], #16\n\t"
        "cmp %[in], %[fours]\n\t"
        "bne 1b\n\t"
        : [in] "+r"(in), [weights] "+r"(weights), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
          [d] "+r"(d), [x] "=&r"(x), [w] "=&r"(w)
        : [fours] "r"(end - depth % 4)
        : "cc", "memory");
  }
#undef INPUT
#undef PRODUCT
#endif
  for (; in != end; weights += 4) {
    const int32_t v = *in++;
    a += (uint32_t)(v * weights[0]);
    b += (uint32_t)(v * weights[1]);
    c += (uint32_t)(v * weights[2]);
    d += (uint32_t)(v * weights[3]);
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}

void td_s8_fully_connected__scalar(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                   void *scratch) {
  (void)scratch;
  int8_t *const all = out;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_depth) {
    const uint32_t offset = td_fully_connected_offset(p, in);
    const int32_t *requant = p->requant, *folded = p->folded;
    for (int32_t o = 0; o < p->out_depth; o += 4) {
      const int32_t lanes = p->out_depth - o < 4 ? p->out_depth - o : 4;
      uint32_t acc[4] = {0u - offset};
      dot_1x4(in, p->weights + o * p->in_depth, p->in_depth, acc);
      for (int32_t i = 0; i < lanes; ++i, requant += p->requant_step) {
        const int32_t sum = (int32_t)(acc[i] + (uint32_t)*folded++);
        *out++ = (int8_t)td_requantize_to_int8(sum, requant[0], requant[1], p->out_zero_point);
      }
    }
  }
  td_clamp(all, p->batches * p->out_depth, p->low, p->high);
}
