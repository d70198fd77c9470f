#include "td_fully_connected.h"
#include "td_simd.h"

/* Of two channels a and b: what a word adds up to is `both` = a + 256 b, and its lower bytes `a`.
 */
typedef struct {
  int32_t a, both;
} pair;

/* Adds the products of 4 * quads int8 with four channels. weights: [quads, 2, 2] words. */
static inline const int8_t *dot_1x4(const int8_t *from, const int8_t *weights, int32_t quads,
                                    pair *first, pair *second) {
#ifdef TD_HAS_DSP
  /* A compiler makes four loads of one. */
#define WORD(w, x, a, both)             \
  "smlad " both ", " w ", " x ", " both \
  "\n\t"                                \
  "sxtb16 " w ", " w                    \
  "\n\t"                                \
  "smlad " a ", " w ", " x ", " a "\n\t"
#define QUAD                                                                       \
  "ldmia %[weights]!, {r2, r3, r4, r5}\n\t"                                        \
  "ldr %[odd], [%[from]], #4\n\t"                                                  \
  "sxtb16 %[even], %[odd]\n\t"                                                     \
  "sxtb16 %[odd], %[odd], ror #8\n\t" WORD("r2", "%[even]", "%[a]", "%[ab]")       \
      WORD("r3", "%[odd]", "%[a]", "%[ab]") WORD("r4", "%[even]", "%[c]", "%[cd]") \
          WORD("r5", "%[odd]", "%[c]", "%[cd]")
  uint32_t even, odd;
  __asm__ volatile(
      "lsrs %[quads], %[quads], #1\n\t"
      "bcc 1f\n\t" QUAD
      "1:\n\t"
      "beq 3f\n"
      "2:\n\t" QUAD QUAD
      "subs %[quads], %[quads], #1\n\t"
      "bne 2b\n"
      "3:\n"
      : [a] "+r"(first->a), [ab] "+r"(first->both), [c] "+r"(second->a), [cd] "+r"(second->both),
        [from] "+r"(from), [weights] "+r"(weights), [quads] "+r"(quads), [even] "=&r"(even),
        [odd] "=&r"(odd)
      :
      : "r2", "r3", "r4", "r5", "cc", "memory");
#undef QUAD
#undef WORD
#else
  for (int32_t i = 0; i < quads; ++i, from += 4) {
    const uint32_t x[2] = {td_even_bytes(td_load4(from)), td_odd_bytes(td_load4(from))};
    for (int32_t j = 0; j < 4; ++j, weights += 4) {
      const uint32_t w = td_load4(weights);
      pair *to = j < 2 ? first : second;
      to->both = td_dot2(w, x[j % 2], to->both);
      to->a = td_dot2(td_even_bytes(w), x[j % 2], to->a);
    }
  }
#endif
  return weights;
}

static inline int32_t upper(pair sums) {
  return (int32_t)((uint32_t)sums.both - (uint32_t)sums.a) >> 8;
}

static void row(const td_fully_connected *p, const int8_t *in, int8_t *out) {
  const int32_t *requant = p->requant, *folded = p->folded;
  const uint32_t offset = td_fully_connected_offset(p, in);
  const int32_t tail = p->in_depth % 4;
  const int8_t *weights = p->weights;
  int8_t last[4] = {0};
  for (int32_t i = 0; i < tail; ++i) last[i] = in[p->in_depth - tail + i];
  for (int32_t left = p->out_depth; left > 0; left -= 4) {
    pair first = {0, 0}, second = {0, 0};
    weights = dot_1x4(in, weights, p->in_depth / 4, &first, &second);
    if (tail != 0) weights = dot_1x4(last, weights, 1, &first, &second);
    const int32_t sums[4] = {first.a, upper(first), second.a, upper(second)};
    for (const int32_t *sum = sums, *end = sums + (left < 4 ? left : 4); sum != end; ++sum) {
      const td_record record = {0, requant[0], requant[1], requant[2]};
      *out++ = td_finish(record, (int32_t)((uint32_t)*sum + (uint32_t)*folded++ - offset));
      requant += p->requant_step;
    }
  }
}

void td_s8_fully_connected__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n) row(p, in + n * p->in_depth, out + n * p->out_depth);
  td_clamp(out, p->batches * p->out_depth, p->low, p->high);
}
