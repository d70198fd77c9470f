#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_fixedpoint.h"
#include "td_taps.h"

static inline int8_t finish(const td_depthwise_conv_2d *p, const int32_t *requant, uint32_t acc) {
  const int32_t sum = (int32_t)(acc + (uint32_t)requant[0]);
  return (int8_t)td_requantize_to_int8(sum, requant[1], requant[2], p->out_zero_point);
}

#ifdef __thumb2__

/* The channels of a window on their way, four by four, where all of them shift right. */
typedef struct {
  const intptr_t *offsets, *end;
  uintptr_t origin;
  const int8_t *weights;
  int32_t step; /* bytes to the weights of the next tap */
  const int32_t *requant;
  int8_t *out, *out_end;
  int32_t out_zero_point;
} walk;

#define PRODUCT(acc, at) \
  "ldrsb r10, [r9, #" at \
  "]\n\t"                \
  "ldrsb r11, [r4, #" at \
  "]\n\t"                \
  "mla " acc ", r10, r11, " acc "\n\t"
/* td_requantize_to_int8 */
#define CHANNEL(acc)               \
  "ldmia lr!, {r1, r2, r9}\n\t"    \
  "add r10, " acc                  \
  ", r1\n\t"                       \
  "mov r1, r10\n\t"                \
  "mov r11, #0x80000000\n\t"       \
  "smlal r11, r10, r1, r2\n\t"     \
  "add r10, r10, r10, asr #31\n\t" \
  "asrs r10, r10, r9\n\t"          \
  "adc r10, r10, r12\n\t"          \
  "ssat r10, #8, r10\n\t"          \
  "strb r10, [r3], #1\n\t"

typedef char walk_layout[offsetof(walk, out_zero_point) == 32 ? 1 : -1];

static void run_walk(walk *state) {
  register walk *r0 __asm__("r0") = state;
  __asm__ volatile(
      "1:\n\t"
      "ldmia r0, {r1, r2, r3, r4, r12}\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r5\n"
      "2:\n\t"
      "ldr r9, [r1], #4\n\t"
      "add r9, r9, r3\n\t" PRODUCT("r5", "0") PRODUCT("r6", "1") PRODUCT("r7", "2")
      PRODUCT("r8", "3")
      "add r4, r4, r12\n\t"
      "cmp r1, r2\n\t"
      "bne 2b\n\t"
      "ldr lr, [r0, #20]\n\t"
      "ldr r3, [r0, #24]\n\t"
      "ldr r12, [r0, #32]\n\t" CHANNEL("r5") CHANNEL("r6") CHANNEL("r7") CHANNEL("r8")
      "strd lr, r3, [r0, #20]\n\t"
      "ldrd r1, r2, [r0, #8]\n\t"
      "adds r1, r1, #4\n\t"
      "adds r2, r2, #4\n\t"
      "strd r1, r2, [r0, #8]\n\t"
      "ldr r1, [r0, #28]\n\t"
      "cmp r3, r1\n\t"
      "bne 1b\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef PRODUCT
#undef CHANNEL

static int32_t all_shift_right(const td_depthwise_conv_2d *p) {
  const int32_t *requant = p->requant;
  for (int32_t o = 0; o < p->out_c; ++o, requant += 3) {
    if (requant[2] <= 0) return 0;
  }
  return 1;
}

/* The number of channels that it did. */
static int32_t by_fours(const td_depthwise_conv_2d *p, const td_taps *t, int8_t *out) {
  const int32_t channels = p->out_c & ~3;
  walk state = {t->offsets,
                t->offsets + p->kernel_h * p->kernel_w,
                t->origin,
                p->weights,
                p->out_c,
                p->requant,
                out,
                out + channels,
                p->out_zero_point};
  if (channels != 0) run_walk(&state);
  return channels;
}

#else

static int32_t all_shift_right(const td_depthwise_conv_2d *p) {
  (void)p;
  return 1;
}

#if defined(__thumb__) && !defined(__OPTIMIZE_SIZE__)

#define PRODUCT(acc, at)   \
  "movs r3, #" at          \
  "\n\t"                   \
  "ldrsb r4, [r2, r3]\n\t" \
  "ldrsb r5, [r1, r3]\n\t" \
  "muls r4, r5, r4\n\t"    \
  "add " acc ", r4\n\t"

static void sum_taps(const td_depthwise_conv_2d *p, const td_taps *t, int32_t o, uint32_t *sums) {
  register const intptr_t *r0 __asm__("r0") = t->offsets;
  register const int8_t *r1 __asm__("r1") = p->weights + o;
  register const intptr_t *r2 __asm__("r2") = t->offsets + p->kernel_h * p->kernel_w;
  register uintptr_t r3 __asm__("r3") = t->origin + (uintptr_t)o;
  register int32_t r4 __asm__("r4") = p->out_c;
  register uint32_t *r5 __asm__("r5") = sums;
  __asm__ volatile(
      ".syntax unified\n\t"
      "mov r10, r3\n\t"
      "mov r11, r2\n\t"
      "mov r12, r4\n\t"
      "push {r5}\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r6\n\t"
      "mov r9, r6\n"
      "1:\n\t"
      "ldm r0!, {r2}\n\t"
      "add r2, r10\n\t" PRODUCT("r6", "0") PRODUCT("r7", "1") PRODUCT("r8", "2")
      PRODUCT("r9", "3")
      "add r1, r12\n\t"
      "cmp r0, r11\n\t"
      "bne 1b\n\t"
      "pop {r5}\n\t"
      "mov r0, r8\n\t"
      "mov r1, r9\n\t"
      "stm r5!, {r6, r7}\n\t"
      "stm r5!, {r0, r1}\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5)
      :
      : "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
}

#undef PRODUCT

#else

static void sum_taps(const td_depthwise_conv_2d *p, const td_taps *t, int32_t o, uint32_t *sums) {
  const intptr_t *offset = t->offsets, *const end = offset + p->kernel_h * p->kernel_w;
  const int8_t *w = p->weights + o;
  const uintptr_t origin = t->origin + (uintptr_t)o;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  for (; offset != end; ++offset, w += p->out_c) {
    const int8_t *x = td_tap(origin, *offset);
    a += (uint32_t)(x[0] * w[0]);
    b += (uint32_t)(x[1] * w[1]);
    c += (uint32_t)(x[2] * w[2]);
    d += (uint32_t)(x[3] * w[3]);
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

#endif

/* Output channels o to o + 3 from as many input channels. */
static void four_channels(const td_depthwise_conv_2d *p, const td_taps *t, int32_t o, int8_t *out) {
  const int32_t *requant = p->requant + 3 * o;
  uint32_t sums[4];
  sum_taps(p, t, o, sums);
  out[o] = finish(p, requant, sums[0]);
  out[o + 1] = finish(p, requant + 3, sums[1]);
  out[o + 2] = finish(p, requant + 6, sums[2]);
  out[o + 3] = finish(p, requant + 9, sums[3]);
}

static int32_t by_fours(const td_depthwise_conv_2d *p, const td_taps *t, int8_t *out) {
  int32_t o = 0;
  for (; o + 4 <= p->out_c; o += 4) four_channels(p, t, o, out);
  return o;
}

#endif

static void one_channel(const td_depthwise_conv_2d *p, const td_taps *t, int32_t i, int32_t o,
                        int8_t *out) {
  const intptr_t *offset = t->offsets, *const end = offset + p->kernel_h * p->kernel_w;
  const int8_t *w = p->weights + o;
  const uintptr_t origin = t->origin + (uintptr_t)i;
  uint32_t acc = 0;
  for (; offset != end; ++offset, w += p->out_c) {
    acc += (uint32_t)(*td_tap(origin, *offset) * *w);
  }
  out[o] = finish(p, p->requant + 3 * o, acc);
}

static void window(const td_depthwise_conv_2d *p, const td_taps *t, int32_t fast, int8_t *out) {
  const int32_t multiplier = p->out_c / p->in_c;
  int32_t o = fast ? by_fours(p, t, out) : 0;
  for (; o < p->out_c; ++o) one_channel(p, t, o / multiplier, o, out);
}

void td_s8_depthwise_conv_2d__scalar(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                     void *scratch) {
  const int32_t fast = p->in_c == p->out_c && all_shift_right(p);
  int8_t *const all = out;
  td_taps t = td_taps_init(p, scratch);
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      for (int32_t x = 0; x < p->out_w; ++x) {
        td_taps_move(p, &t, in, y, x);
        window(p, &t, fast, out);
        out += p->out_c;
      }
    }
    in += p->in_h * p->in_w * p->in_c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * p->out_c, p->low, p->high);
}
