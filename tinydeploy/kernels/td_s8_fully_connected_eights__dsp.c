#include <stddef.h>

#include "td_bytes.h"
#include "td_fully_connected.h"

/* Of four inputs x, channel a and u = (x0 + a1, x2 + a3), v = (x1 + a0, x3 + a2), td_dot2 of both
 * is the four products and x0 x1 + x2 x3, which is the row's, and a0 a1 + a2 a3, which is the
 * channel's: adding costs no more than extending the weights to 16 bits does, and one
 * multiplication in two is saved. The inputs times words of two channels make the sum of channel a
 * and 256 times that of b.
 */

/* A row on its way, eight channels at a time. */
typedef struct {
  int8_t *out;
  int32_t requant[3]; /* multiplier, scale, offset as in td_record */
  const int32_t *start;
  uint32_t products; /* of neighbours in the row */
  const int8_t *in;
} walk;

#ifdef TD_HAS_DSP

/* r2, r3: weights; r12, lr: even and odd inputs. */
#define PAIR(a, both)              \
  "smlad " both ", r2, lr, " both  \
  "\n\t"                           \
  "smlad " both ", r3, r12, " both \
  "\n\t"                           \
  "sxtab16 r2, r12, r2\n\t"        \
  "sxtab16 r3, lr, r3\n\t"         \
  "smlad " a ", r2, r3, " a "\n\t"
#define NEXT_PAIR(a, both) "ldmia r0!, {r2, r3}\n\t" PAIR(a, both)
/* r0: weights; r1: inputs. Loads that follow loads take a cycle less. */
#define QUAD(load, compare)                                                          \
  "ldr r12, [r1], #4\n\t" load                                                       \
  "ldr r3, [r0, #4]\n\t"                                                             \
  "ldr r2, [r0], #8\n\t" compare                                                     \
  "sxtb16 lr, r12, ror #8\n\t"                                                       \
  "sxtb16 r12, r12\n\t" PAIR("r4", "r5") NEXT_PAIR("r6", "r7") NEXT_PAIR("r8", "r9") \
      NEXT_PAIR("r10", "r11")
#define FINISH_PAIR(a, both, at_a, at_b)                                 \
  "subs " both ", " both ", " a                                          \
  "\n\t"                                                                 \
  "asrs " both ", " both ", #8\n\t" TD_FINISH(a, a, "r2", "r3", "r12")   \
      TD_FINISH(both, both, "r2", "r3", "r12") "strb " a ", [r1, #" at_a \
                                               "]\n\t"                   \
                                               "strb " both ", [r1, #" at_b "]\n\t"

typedef char walk_layout[offsetof(walk, in) == 24 ? 1 : -1];

static void run_walk(walk *state, const int8_t *weights, const int8_t *in_end,
                     const int8_t *out_end) {
  register walk *r0 __asm__("r0") = state;
  register const int8_t *r1 __asm__("r1") = weights;
  register const int8_t *r2 __asm__("r2") = in_end;
  register const int8_t *r3 __asm__("r3") = out_end;
  __asm__ volatile(
      "push {r0, r2, r3}\n\t"
      "mov r0, r1\n"
      "1:\n\t"
      "ldr r3, [sp]\n\t"
      "ldr r2, [r3, #16]\n\t"
      "ldr r1, [r3, #24]\n\t"
      "ldmia r2!, {r4, r5, r6, r7, r8, r9, r10, r11}\n\t"
      "str r2, [r3, #16]\n\t"
      "ldr r2, [r3, #20]\n\t"
      "ldr r3, [sp, #4]\n\t"
      "subs r4, r4, r2\n\t"
      "subs r6, r6, r2\n\t"
      "sub r8, r8, r2\n\t"
      "sub r10, r10, r2\n\t"
      "subs r3, r3, r1\n\t"
      "lsls r3, r3, #28\n\t" /* an odd number of eights */
      "bmi 3f\n"
      "2:\n\t" QUAD("", "") QUAD("", "")
      "3:\n\t" QUAD("", "") QUAD("ldr lr, [sp, #4]\n\t", "cmp r1, lr\n\t")
      "bne 2b\n\t"
      "ldr r1, [sp]\n\t"
      "ldmia r1, {r1, r2, r3, r12}\n\t" FINISH_PAIR("r4", "r5", "0", "1")
      FINISH_PAIR("r6", "r7", "2", "3") FINISH_PAIR("r8", "r9", "4", "5")
      FINISH_PAIR("r10", "r11", "6", "7")
      "adds r1, r1, #8\n\t"
      "ldr r3, [sp]\n\t"
      "str r1, [r3]\n\t"
      "ldr r3, [sp, #8]\n\t"
      "cmp r1, r3\n\t"
      "bne 1b\n\t"
      "add sp, sp, #12\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
      :
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef PAIR
#undef NEXT_PAIR
#undef QUAD
#undef FINISH_PAIR

#else

/* Two channels. weights: of their first four inputs. */
static void pair(walk *state, const int8_t *weights, const int8_t *in_end) {
  const td_record record = {0, state->requant[0], state->requant[1], state->requant[2]};
  int32_t a = (int32_t)((uint32_t)*state->start++ - state->products), both = *state->start++;
  for (const int8_t *x = state->in; x != in_end; x += 4, weights += 32) {
    const uint32_t even = td_even_bytes(td_load4(x)), odd = td_odd_bytes(td_load4(x));
    const uint32_t w0 = td_load4(weights), w1 = td_load4(weights + 4);
    both = td_dot2(w1, even, td_dot2(w0, odd, both));
    a = td_dot2(td_sxtab16(even, w0), td_sxtab16(odd, w1), a);
  }
  *state->out++ = td_finish(record, a);
  *state->out++ = td_finish(record, (int32_t)((uint32_t)both - (uint32_t)a) >> 8);
}

static void run_walk(walk *state, const int8_t *weights, const int8_t *in_end,
                     const int8_t *out_end) {
  for (; state->out != out_end; weights += 8 * (in_end - state->in)) {
    for (int32_t i = 0; i < 4; ++i) pair(state, weights + 8 * i, in_end);
  }
}

#endif

void td_s8_fully_connected_eights__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                       void *scratch) {
  walk state;
  int32_t batches = p->batches;
  (void)scratch;
  __builtin_memcpy(state.requant, p->requant, sizeof state.requant);
  state.out = out;
  do {
    const int8_t *x = in;
    int32_t products = 0;
    state.in = in;
    in += p->in_depth;
    do {
      products = td_dot2(td_even_bytes(td_load4(x)), td_odd_bytes(td_load4(x)), products);
      x += 4;
    } while (x != in);
    state.products = (uint32_t)products;
    state.start = p->folded;
    run_walk(&state, p->weights, in, state.out + p->out_depth);
  } while (--batches != 0);
}
