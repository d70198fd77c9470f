#include "td_fully_connected.h"
#include "td_simd.h"

/* acc[i] += the inner product of 4 * quads int8 with row i of `weights`: [quads, 4 rows, 4]. */
static inline const int8_t *dot_1x4(const int8_t *from, const int8_t *weights, int32_t quads,
                                    int32_t *acc) {
#ifdef TD_HAS_DSP
  /* A compiler makes four loads of one. */
#define ROW(acc, w)                    \
  "sxtb16 %[t], " w                    \
  "\n\t"                               \
  "sxtb16 " w ", " w                   \
  ", ror #8\n\t"                       \
  "smlad " acc ", %[t], %[even], " acc \
  "\n\t"                               \
  "smlad " acc ", " w ", %[odd], " acc "\n\t"
#define QUAD                                                                                \
  "ldmia %[weights]!, {r2, r3, r4, r5}\n\t"                                                 \
  "ldr %[odd], [%[from]], #4\n\t"                                                           \
  "sxtb16 %[even], %[odd]\n\t"                                                              \
  "sxtb16 %[odd], %[odd], ror #8\n\t" ROW("%[a]", "r2") ROW("%[b]", "r3") ROW("%[c]", "r4") \
      ROW("%[d]", "r5")
  uint32_t even, odd, t;
  __asm__ volatile(
      "lsrs %[quads], %[quads], #1\n\t"
      "bcc 1f\n\t" QUAD
      "1:\n\t"
      "beq 3f\n"
      "2:\n\t" QUAD QUAD
      "subs %[quads], %[quads], #1\n\t"
      "bne 2b\n"
      "3:\n"
      : [a] "+r"(acc[0]), [b] "+r"(acc[1]), [c] "+r"(acc[2]), [d] "+r"(acc[3]), [from] "+r"(from),
        [weights] "+r"(weights), [quads] "+r"(quads), [t] "=&r"(t), [even] "=&r"(even),
        [odd] "=&r"(odd)
      :
      : "r2", "r3", "r4", "r5", "cc", "memory");
#undef QUAD
#undef ROW
#else
  for (int32_t i = 0; i < quads; ++i, from += 4) {
    const uint32_t x = td_load4(from);
    for (int32_t j = 0; j < 4; ++j, weights += 4) {
      const uint32_t w = td_load4(weights);
      acc[j] = td_dot2(td_even_bytes(x), td_even_bytes(w), acc[j]);
      acc[j] = td_dot2(td_odd_bytes(x), td_odd_bytes(w), acc[j]);
    }
  }
#endif
  return weights;
}

static void row(const td_fully_connected *p, const int8_t *in, int8_t *out) {
  const int32_t *requant = p->requant, *folded = p->folded;
  const uint32_t offset = td_fully_connected_offset(p, in);
  const int32_t tail = p->in_depth % 4;
  const int8_t *weights = p->weights;
  int8_t last[4] = {0};
  for (int32_t i = 0; i < tail; ++i) last[i] = in[p->in_depth - tail + i];
  for (int32_t o = 0; o < p->out_depth; o += 4) {
    const int32_t lanes = p->out_depth - o < 4 ? p->out_depth - o : 4;
    int32_t acc[4] = {0};
    weights = dot_1x4(in, weights, p->in_depth / 4, acc);
    for (int32_t i = 0; i < lanes; ++i, requant += p->requant_step) {
      if (tail != 0) {
        const uint32_t x = td_load4(last), w = td_load4(weights + 4 * i);
        acc[i] = td_dot2(td_even_bytes(x), td_even_bytes(w), acc[i]);
        acc[i] = td_dot2(td_odd_bytes(x), td_odd_bytes(w), acc[i]);
      }
      const uint32_t sum = (uint32_t)acc[i] + (uint32_t)*folded++ - offset;
      const td_record record = {0, requant[0], requant[1], requant[2]};
      *out++ = td_finish(record, (int32_t)sum);
    }
    if (tail != 0) weights += 16;
  }
}

void td_s8_fully_connected__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n) row(p, in + n * p->in_depth, out + n * p->out_depth);
  td_clamp(out, p->batches * p->out_depth, p->low, p->high);
}
