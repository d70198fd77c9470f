#include "td_fixedpoint.h"
#include "td_fully_connected.h"

/* Eight channels on their way, or four: then `b` is `a` and the second four sums do not matter. */
typedef struct {
  const int8_t *in, *end; /* by fours */
  const int8_t *a, *b;    /* [quads, 4, 4]: weights of four channels each */
  uint32_t sums[8];
} block;

#if defined(__thumb__) && !defined(__thumb2__)

#define PRODUCT(acc, weights, at) \
  "ldrb r3, [" weights ", #" at   \
  "]\n\t"                         \
  "muls r3, r2, r3\n\t"           \
  "add " acc ", r3\n\t"
#define INPUT(at, at_0, at_1, at_2, at_3)                                            \
  "ldrb r2, [r1, #" at                                                               \
  "]\n\t"                                                                            \
  "eors r2, r2, r4\n\t" PRODUCT("r8", "r0", at_0) PRODUCT("r9", "r0", at_1)          \
      PRODUCT("r6", "r0", at_2) PRODUCT("r7", "r0", at_3) PRODUCT("r10", "r5", at_0) \
          PRODUCT("r11", "r5", at_1) PRODUCT("r12", "r5", at_2) PRODUCT("lr", "r5", at_3)

#ifdef __OPTIMIZE_SIZE__
/* One input a turn, the last of four first. */
#define BEGIN       \
  "adds r1, #3\n\t" \
  "adds r2, #3\n\t"
#define QUAD                      \
  INPUT("0", "0", "4", "8", "12") \
  "subs r1, #1\n\t"               \
  "adds r0, #1\n\t"               \
  "adds r5, #1\n\t"               \
  "lsls r3, r0, #30\n\t"          \
  "bne 1b\n\t"                    \
  "adds r0, #12\n\t"              \
  "adds r5, #12\n\t"              \
  "adds r1, #8\n\t"
#else
#define BEGIN ""
#define QUAD \
  INPUT("0", "3", "7", "11", "15") INPUT("1", "2", "6", "10", "14")       \
  INPUT("2", "1", "5", "9", "13") INPUT("3", "0", "4", "8", "12")         \
  "adds r0, #16\n\t"                                                      \
  "adds r5, #16\n\t"                                                      \
  "adds r1, #4\n\t"
#endif

/* A high register can be added to: eight channels share an input. */
static void add_products(block *state) {
  register block *r0 __asm__("r0") = state;
  __asm__ volatile(
      ".syntax unified\n\t"
      "ldm r0!, {r1, r2, r3, r5}\n\t" BEGIN
      "push {r0, r2}\n\t"
      "ldm r0!, {r2, r4, r6, r7}\n\t"
      "mov r8, r2\n\t"
      "mov r9, r4\n\t"
      "ldm r0!, {r2, r4}\n\t"
      "mov r10, r2\n\t"
      "mov r11, r4\n\t"
      "ldm r0!, {r2, r4}\n\t"
      "mov r12, r2\n\t"
      "mov lr, r4\n\t"
      "movs r0, r3\n\t"
      "movs r4, #128\n"
      "1:\n\t" QUAD
      "ldr r3, [sp, #4]\n\t"
      "cmp r1, r3\n\t"
      "bne 1b\n\t"
      "pop {r0, r1}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "stm r0!, {r4, r5, r6, r7}\n\t"
      "mov r4, r10\n\t"
      "mov r5, r11\n\t"
      "mov r6, r12\n\t"
      "mov r7, lr\n\t"
      "stm r0!, {r4, r5, r6, r7}\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef PRODUCT
#undef INPUT
#undef BEGIN
#undef QUAD

#else

#ifdef __thumb2__

/* Two inputs and two weights, x0 + 2^24 x1 and w1 + 2^24 w0, make a product that has what they add
 * to the sum in its bits from 24 on: within 24 bits for so many fours of 8 bits. */
enum { RUN = 64 };

#define CHANNEL(w, acc)        \
  "and %[w2], %[mask], " w     \
  ", ror #16\n\t"              \
  "and " w ", " w              \
  ", %[mask]\n\t"              \
  "umlal %Q[" acc "], %R[" acc \
  "], %[w2], %[x]\n\t"         \
  "umlal %Q[" acc "], %R[" acc "], " w ", %[x1]\n\t"
#define QUAD                                \
  "ldr %[x], [%[in]], #4\n\t"               \
  "ldrd %[w], %[w1], [%[weights]], #16\n\t" \
  "eor %[x], %[x], #0x80808080\n\t"         \
  "and %[x1], %[x], %[mask]\n\t"            \
  "and %[x], %[mask], %[x], ror #16\n\t" CHANNEL("%[w]", "a") CHANNEL("%[w1]", "b")

/* Two of the four channels. */
static inline void add_pair(const int8_t *in, const int8_t *weights, int32_t quads,
                            uint32_t *sums) {
  uint64_t a = 0, b = 0;
  uint32_t x, x1, w, w1, w2;
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
      : [a] "+r"(a), [b] "+r"(b), [in] "+r"(in), [weights] "+r"(weights), [quads] "+r"(quads),
        [x] "=&r"(x), [x1] "=&r"(x1), [w] "=&r"(w), [w1] "=&r"(w1), [w2] "=&r"(w2)
      : [mask] "r"(0xff0000ff)
      : "cc", "memory");
  sums[0] += (uint32_t)(a >> 24) & 0xffffff;
  sums[1] += (uint32_t)(b >> 24) & 0xffffff;
}

#undef QUAD
#undef CHANNEL

static void add_four(const int8_t *in, const int8_t *weights, int32_t quads, uint32_t *sums) {
  for (; quads > 0; quads -= RUN, in += 4 * RUN, weights += 16 * RUN) {
    for (uint32_t *sum = sums; sum != sums + 4; sum += 2) {
      add_pair(in, weights + 4 * (sum - sums), quads < RUN ? quads : RUN, sum);
    }
  }
}

#else

static void add_four(const int8_t *in, const int8_t *weights, int32_t quads, uint32_t *sums) {
  for (const int8_t *end = in + 4 * quads; in != end; in += 4) {
    for (int32_t channel = 0; channel < 4; ++channel, weights += 4) {
      for (int32_t i = 0; i < 4; ++i) {
        sums[channel] += (uint32_t)((in[i] + 128) * (uint8_t)weights[3 - i]);
      }
    }
  }
}

#endif

static void add_products(block *state) {
  const int32_t quads = (int32_t)(state->end - state->in) / 4;
  add_four(state->in, state->a, quads, state->sums);
  if (state->b != state->a) add_four(state->in, state->b, quads, state->sums + 4);
}

#endif

static void row(const td_fully_connected *p, const int8_t *in, int8_t *out) {
  const int32_t tail = p->in_depth % 4, whole = p->in_depth - tail;
  const int32_t four_bytes = 4 * (whole + (tail != 0 ? 4 : 0));
  const int32_t *requant = p->requant, *folded = p->folded;
  const int32_t requant_step = p->requant_step, zero_point = p->out_zero_point;
  const int8_t *weights = p->weights;
  int8_t last[4] = {-128, -128, -128, -128}; /* which adds nothing */
  int32_t total = 128 * p->in_depth;
  for (int32_t i = 0; i < tail; ++i) last[i] = in[whole + i];
  for (const int8_t *x = in; x != in + p->in_depth; ++x) total += *x;
  const uint32_t offset = (uint32_t)total * (uint32_t)(p->weights_zero_point + 128);
  for (int32_t left = p->out_depth; left > 0; left -= 8, weights += 2 * four_bytes) {
    block state;
    uint32_t *const end = state.sums + (left < 8 ? left : 8);
    uint32_t *start = state.sums;
    while (start != end) *start++ = (uint32_t)*folded++ - offset;
    while (start != state.sums + 8) *start++ = 0;
    state.in = in;
    state.end = in + whole;
    state.a = weights;
    state.b = left > 4 ? weights + four_bytes : weights;
    if (whole != 0) add_products(&state);
    if (tail != 0) {
      state.in = last;
      state.end = last + 4;
      state.a += 4 * whole;
      state.b += 4 * whole;
      add_products(&state);
    }
    for (const uint32_t *sum = state.sums; sum != end; ++sum, requant += requant_step) {
      *out++ = (int8_t)td_requantize_to_int8((int32_t)*sum, requant[0], requant[1], zero_point);
    }
  }
}

void td_s8_fully_connected__scalar(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                   void *scratch) {
  (void)scratch;
  for (int32_t n = 0; n < p->batches; ++n) row(p, in + n * p->in_depth, out + n * p->out_depth);
  td_clamp(out, p->batches * p->out_depth, p->low, p->high);
}
