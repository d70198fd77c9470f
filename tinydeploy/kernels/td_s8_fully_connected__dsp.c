#include "td_fully_connected.h"
#include "td_simd.h"

/* Of so many inputs, by fours, a sum stays within 24 bits. */
enum { RUN = 128 };

/* Of two channels a and b: what a word adds up to is `both` = a + 256 b, and its lower bytes `a`.
 */
typedef struct {
  int32_t a, both;
} pair;

/* Adds the products of 4 * quads int8, quads > 0, with four channels. weights: [quads, 2, 2] words.
 */
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
#ifdef __OPTIMIZE_SIZE__
      "2:\n\t" QUAD
#else
      "lsrs %[quads], %[quads], #1\n\t"
      "bcc 1f\n\t" QUAD
      "1:\n\t"
      "beq 3f\n"
      "2:\n\t" QUAD QUAD
#endif
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

/* Adds up four channels over 4 * quads inputs. */
static inline const int8_t *run(const int8_t *from, const int8_t *weights, int32_t quads,
                                uint32_t *sums) {
  pair first = {0, 0}, second = {0, 0};
  weights = dot_1x4(from, weights, quads, &first, &second);
  sums[0] += (uint32_t)first.a;
  sums[1] += (uint32_t)((int32_t)((uint32_t)first.both - (uint32_t)first.a) >> 8);
  sums[2] += (uint32_t)second.a;
  sums[3] += (uint32_t)((int32_t)((uint32_t)second.both - (uint32_t)second.a) >> 8);
  return weights;
}

/* weights_zero_point times the sum of a row of the input: what each channel subtracts. */
static uint32_t row_offset(const td_fully_connected *p, const int8_t *row) {
  int32_t sum = 0;
  if (p->weights_zero_point == 0) return 0;
  for (int32_t d = 0; d < p->in_depth; ++d) sum += row[d];
  return (uint32_t)sum * (uint32_t)p->weights_zero_point;
}

static void row(const td_fully_connected *p, const int8_t *in, int8_t *out) {
  const int32_t *requant = p->requant, *folded = p->folded;
  const uint32_t offset = row_offset(p, in);
  const int32_t tail = p->in_depth % 4;
  const int8_t *weights = p->weights;
  int8_t last[4] = {0};
  for (int32_t i = 0; i < tail; ++i) last[i] = in[p->in_depth - tail + i];
  for (int32_t left = p->out_depth; left > 0; left -= 4) {
    uint32_t sums[4] = {0u - offset, 0u - offset, 0u - offset, 0u - offset};
    const int8_t *from = in;
    for (int32_t quads = p->in_depth / 4; quads > 0; quads -= RUN, from += 4 * RUN) {
      weights = run(from, weights, quads < RUN ? quads : RUN, sums);
    }
    if (tail != 0) weights = run(last, weights, 1, sums);
    for (const uint32_t *sum = sums, *end = sums + (left < 4 ? left : 4); sum != end; ++sum) {
      const td_record record = {0, requant[0], requant[1], requant[2]};
      *out++ = td_finish(record, (int32_t)(*sum + (uint32_t)*folded++));
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
