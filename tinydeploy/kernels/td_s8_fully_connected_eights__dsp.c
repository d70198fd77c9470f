#include "td_bytes.h"
#include "td_fully_connected.h"

/* Of four inputs x, channel a and u = (x0 + a1, x2 + a3), v = (x1 + a0, x3 + a2), td_dot2 of both
 * is the four products and x0 x1 + x2 x3, which is the row's, and a0 a1 + a2 a3, which is the
 * channel's: adding costs no more than extending the weights to 16 bits does, and one
 * multiplication in two is saved. The inputs times words of two channels make the sum of channel a
 * and 256 times that of b.
 */

typedef struct {
  const int8_t *in, *in_end;
  int8_t *out, *out_end;
  const int32_t *requant; /* multiplier, scale, offset as in td_record */
} row;

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
/* TD_FINISH in three steps; r3, r12, lr: multiplier, scale, offset. */
#define HIGH(a, both)           \
  "subs " both ", " both ", " a \
  "\n\t"                        \
  "asrs " both ", " both        \
  ", #8\n\t"                    \
  "smmlar " a ", " a ", r3, " a \
  "\n\t"                        \
  "smmlar " both ", " both ", r3, " both "\n\t"
#define AWAY(v) "add " v ", " v ", " v ", asr #31\n\t"
#define OUT(v, to)     \
  "smmlsr " v ", " v   \
  ", r12, lr\n\t"      \
  "ssat " v ", #8, " v \
  "\n\t"               \
  "strb " v ", [r1" to "\n\t"
/* r11 += products of neighbours among four inputs. */
#define PRODUCTS(word)     \
  "sxtb16 r12, " word      \
  ", ror #8\n\t"           \
  "sxtb16 " word ", " word \
  "\n\t"                   \
  "smlad r11, " word ", r12, r11\n\t"

/* A turn of the loop is five quads: so this and td_model_run() together stay in an instruction
 * cache of 1 KB from layer to layer. The first turn enters it where as many are left as there are
 * beyond whole turns.
 */
static void run_row(row *r, const int8_t *weights) {
  register const int8_t *r0 __asm__("r0") = weights;
  register row *r6 __asm__("r6") = r;
  __asm__ volatile(
      ".balign 4\n\t" /* for adr */
      "ldmia r6, {r1, r2, r3, r4, r5}\n\t"
      "mov r6, r1\n\t"
      "mov r11, #0\n"
      "1:\n\t"
      "ldr r8, [r6], #4\n\t"
      "ldr r9, [r6], #4\n\t" PRODUCTS("r8") PRODUCTS("r9")
      "cmp r6, r2\n\t"
      "bne 1b\n\t"
      "subs r6, r2, r1\n\t"
      "lsrs r6, r6, #2\n\t"
      "add r8, r6, #4\n\t"
      "movs r7, #5\n\t"
      "udiv r8, r8, r7\n\t"
      "mls r6, r8, r7, r6\n\t" /* -quads that the first turn leaves out */
      "adr r8, 2f\n\t"
      "adr r9, 3f\n\t"
      "sub r9, r9, r8\n\t"
      "mls r12, r6, r9, r8\n\t"
      "ldmia r5, {r8, r9, r10}\n\t"
      "push {r1, r2, r11, r12}\n\t"
      "push {r3, r4, r8, r9, r10}\n"
      "1:\n\t"
      "ldmia r0!, {r4, r5, r6, r7, r8, r9, r10, r11}\n\t"
      "ldr r1, [sp, #20]\n\t"
      "ldr r2, [sp, #28]\n\t"
      "ldr r3, [sp, #32]\n\t"
      "subs r4, r4, r2\n\t"
      "subs r6, r6, r2\n\t"
      "sub r8, r8, r2\n\t"
      "sub r10, r10, r2\n\t"
      "mov pc, r3\n"
      "2:\n\t" QUAD("", "")
      "3:\n\t" QUAD("", "") QUAD("", "") QUAD("", "")
      QUAD("ldr lr, [sp, #24]\n\t", "cmp r1, lr\n\t")
      "bne 2b\n\t"
      "ldmia sp, {r1, r2, r3, r12, lr}\n\t"
      HIGH("r4", "r5") HIGH("r6", "r7") HIGH("r8", "r9") HIGH("r10", "r11")
      "cmn lr, #128\n\t" /* what is below zero ends at -128, however it is rounded */
      "beq 2f\n\t"
      AWAY("r4") AWAY("r5") AWAY("r6") AWAY("r7")
      AWAY("r8") AWAY("r9") AWAY("r10") AWAY("r11")
      "\n2:\n\t"
      OUT("r5", ", #1]") OUT("r6", ", #2]") OUT("r7", ", #3]") OUT("r8", ", #4]")
      OUT("r9", ", #5]") OUT("r10", ", #6]") OUT("r11", ", #7]") OUT("r4", "], #8")
      "str r1, [sp]\n\t"
      "cmp r1, r2\n\t"
      "bne 1b\n\t"
      "add sp, sp, #36\n\t"
      : "+r"(r0), "+r"(r6)
      :
      : "r1", "r2", "r3", "r4", "r5", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef PAIR
#undef NEXT_PAIR
#undef QUAD
#undef HIGH
#undef AWAY
#undef OUT
#undef PRODUCTS

#else

/* Two channels. starts: of their sums. weights: of their first four inputs. */
static void pair(row *r, const int32_t *starts, const int8_t *weights) {
  const td_record record = {0, r->requant[0], r->requant[1], r->requant[2]};
  int32_t a = starts[0], both = starts[1], products = 0;
  for (const int8_t *x = r->in; x != r->in_end; x += 4, weights += 32) {
    const uint32_t even = td_even_bytes(td_load4(x)), odd = td_odd_bytes(td_load4(x));
    const uint32_t w0 = td_load4(weights), w1 = td_load4(weights + 4);
    both = td_dot2(w1, even, td_dot2(w0, odd, both));
    a = td_dot2(td_sxtab16(even, w0), td_sxtab16(odd, w1), a);
    products = td_dot2(even, odd, products);
  }
  a = (int32_t)((uint32_t)a - (uint32_t)products);
  *r->out++ = td_finish(record, a);
  *r->out++ = td_finish(record, (int32_t)((uint32_t)both - (uint32_t)a) >> 8);
}

static void run_row(row *r, const int8_t *weights) {
  while (r->out != r->out_end) {
    const int32_t *starts = (const int32_t *)(const void *)weights;
    weights += 32;
    for (int32_t i = 0; i < 4; ++i) pair(r, starts + 2 * i, weights + 8 * i);
    weights += 8 * (r->in_end - r->in);
  }
}

#endif

void td_s8_fully_connected_eights__dsp(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                       void *scratch) {
  row r;
  int32_t batches = p->batches;
  (void)scratch;
  r.requant = p->requant;
  r.in_end = in;
  r.out_end = out;
  do {
    r.in = r.in_end;
    r.in_end += p->in_depth;
    r.out = r.out_end;
    r.out_end += p->out_depth;
    run_row(&r, p->weights);
  } while (--batches != 0);
}
