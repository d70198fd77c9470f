#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

enum { TAPS = 9 };

/* Which columns of a window lie outside the input. */
enum { INSIDE, WITHOUT_LEFT, WITHOUT_RIGHT };

/* One window, on its way through the channels four by four: run_window moves `record` and `out`. */
typedef struct {
  uintptr_t rows[3];       /* of the input: its left column, which may lie before the input */
  int32_t pixel;           /* bytes to the column on the right */
  const uint32_t *weights; /* [quads, 3, 3, 2]: channels (0, 2) and (1, 3) of each tap */
  const int32_t *record;   /* [quads, 4 + 12]: folded of four channels, then what each has else */
  int8_t *out, *end;
  int32_t columns;  /* INSIDE, ... */
  uint32_t outside; /* in_zero_point twice, as int16 */
  int32_t above;    /* the output's zero point is -128 */
} td_window;

/* Weights as td_bottom and td_top take them. */
static void spread_weights(const int8_t *weights, int32_t words, uint32_t *spread) {
  for (const int8_t *end = weights + 4 * words; weights != end; weights += 4) {
    const uint32_t word = td_load4(weights);
    *spread++ = td_even_bytes(word);
    *spread++ = td_odd_bytes(word);
  }
}

#ifdef TD_HAS_DSP

#define ADD_TAP(even_x, odd_x) \
  "smlabb r6, " even_x         \
  ", r12, r6\n\t"              \
  "smlabb r7, " odd_x          \
  ", lr, r7\n\t"               \
  "smlatt r8, " even_x         \
  ", r12, r8\n\t"              \
  "smlatt r9, " odd_x ", lr, r9\n\t"
#define TAP(at, address)    \
  "ldr r10, " address       \
  "\n\t"                    \
  "ldrd r12, lr, [r5, #" at \
  "]\n\t"                   \
  "sxtb16 r11, r10\n\t"     \
  "sxtb16 r10, r10, ror #8\n\t" ADD_TAP("r11", "r10")
#define TAP_OUTSIDE(at) "ldrd r12, lr, [r5, #" at "]\n\t" ADD_TAP("r10", "r10")
#define LEFT(row, at) TAP(at, "[" row "], #4")
#define MIDDLE(row, at) TAP(at, "[" row ", r4]")
#define RIGHT(row, at) TAP(at, "[" row ", r4, lsl #1]")
#define CHANNEL(FINISH, acc) "ldmia r10!, {r11, r12, lr}\n\t" FINISH(acc, acc, "r11", "r12", "lr")

#define CHANNELS(FINISH) \
  CHANNEL(FINISH, "r6") CHANNEL(FINISH, "r7") CHANNEL(FINISH, "r8") CHANNEL(FINISH, "r9")

typedef char td_window_layout[offsetof(td_window, above) == 40 ? 1 : -1];

/* It needs every register, so it is written as a whole: r1 to r3 the rows, r4 `pixel`, r5 the
 * weights, r6 to r9 the sums of four channels. From label 3 on all columns lie inside, from 2 on
 * all but the right one. */
static void run_window(td_window *w) {
  register td_window *r0 __asm__("r0") = w;
  __asm__ volatile(
      "ldmia r0, {r1, r2, r3, r4, r5}\n"
      "1:\n\t"
      "ldr r10, [r0, #20]\n\t"
      "ldr r11, [r0, #32]\n\t"
      "ldmia r10, {r6, r7, r8, r9}\n\t"
      "cmp r11, #1\n\t"
      "blo 3f\n\t"
      "ldr r10, [r0, #36]\n\t"
      "bhi 2f\n\t"
      TAP_OUTSIDE("0") TAP_OUTSIDE("24") TAP_OUTSIDE("48")
      MIDDLE("r1", "8") RIGHT("r1", "16") MIDDLE("r2", "32") RIGHT("r2", "40")
      MIDDLE("r3", "56") RIGHT("r3", "64")
      "adds r1, #4\n\t"
      "adds r2, #4\n\t"
      "adds r3, #4\n\t"
      "b 4f\n"
      "2:\n\t"
      TAP_OUTSIDE("16") TAP_OUTSIDE("40") TAP_OUTSIDE("64")
      MIDDLE("r1", "8") LEFT("r1", "0") MIDDLE("r2", "32") LEFT("r2", "24")
      MIDDLE("r3", "56") LEFT("r3", "48")
      "b 4f\n"
      "3:\n\t"
      MIDDLE("r1", "8") RIGHT("r1", "16") LEFT("r1", "0")
      MIDDLE("r2", "32") RIGHT("r2", "40") LEFT("r2", "24")
      MIDDLE("r3", "56") RIGHT("r3", "64") LEFT("r3", "48")
      "4:\n\t"
      "adds r5, #72\n\t"
      "ldr r10, [r0, #20]\n\t"
      "adds r10, #16\n\t" 
      "ldr r11, [r0, #40]\n\t"
      "cmp r11, #0\n\t"
      "bne 5f\n\t"
      CHANNELS(TD_FINISH)
      "b 6f\n"
      "5:\n\t"
      CHANNELS(TD_FINISH_ABOVE)
      "6:\n\t"
      "ldrd r11, r12, [r0, #24]\n\t"
      "str r10, [r0, #20]\n\t"
      "strb r6, [r11], #1\n\t"
      "strb r7, [r11], #1\n\t"
      "strb r8, [r11], #1\n\t"
      "strb r9, [r11], #1\n\t"
      "str r11, [r0, #24]\n\t"
      "cmp r11, r12\n\t"
      "bne 1b\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

#undef CHANNELS
#undef CHANNEL

#else

static void run_window(td_window *w) {
  const uint32_t *weights = w->weights;
  for (int32_t c = 0; w->out != w->end; c += 4, w->out += 4, w->record += 16) {
    int32_t acc[4];
    for (int32_t i = 0; i < 4; ++i) acc[i] = w->record[i];
    for (int32_t i = 0; i < TAPS; ++i, weights += 2) {
      const int32_t column = i % 3;
      uint32_t even = w->outside, odd = w->outside;
      if (w->columns != (column == 0 ? WITHOUT_LEFT : column == 2 ? WITHOUT_RIGHT : -1)) {
        const uintptr_t tap = w->rows[i / 3] + (uintptr_t)(column * w->pixel + c);
        const uint32_t x = td_load4((const int8_t *)tap);
        even = td_even_bytes(x);
        odd = td_odd_bytes(x);
      }
      acc[0] = td_bottom(even, weights[0], acc[0]);
      acc[1] = td_bottom(odd, weights[1], acc[1]);
      acc[2] = td_top(even, weights[0], acc[2]);
      acc[3] = td_top(odd, weights[1], acc[3]);
    }
    for (int32_t i = 0; i < 4; ++i) {
      const int32_t *of = w->record + 4 + 3 * i;
      const td_record record = {0, of[0], of[1], of[2]};
      w->out[i] = td_finish(record, acc[i]);
    }
  }
}

#endif

/* One row of the output, from input row `top` on. Addresses are integers until they are read: where
 * the left column lies outside it may lie before the input. */
static void run_row(const td_depthwise_conv_2d *p, const int8_t *in, int32_t top, td_window *w,
                    const int8_t *outside) {
  const int32_t channels = p->in_c, row_bytes = p->in_w * channels;
  uintptr_t step[3];
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t v = top + i, inside = v >= 0 && v < p->in_h;
    const intptr_t start = (intptr_t)v * row_bytes - (intptr_t)p->pad_w * channels;
    w->rows[i] = inside ? (uintptr_t)in + (uintptr_t)start : (uintptr_t)outside;
    step[i] = inside ? (uintptr_t)(p->stride_w * channels) : 0;
  }
  int32_t left = -p->pad_w;
  for (int32_t x = p->out_w; x > 0; --x, left += p->stride_w) {
    w->record = p->requant;
    w->end = w->out + channels;
    w->columns = left < 0 ? WITHOUT_LEFT : left + 3 > p->in_w ? WITHOUT_RIGHT : INSIDE;
    run_window(w);
    for (int32_t i = 0; i < 3; ++i) w->rows[i] += step[i];
  }
}

void td_s8_depthwise_conv_2d_3x3__dsp(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                      void *scratch) {
  const int32_t channels = p->in_c;
  uint32_t *const weights = scratch;
  int8_t *const outside = (int8_t *)scratch + 2 * TAPS * channels; /* three pixels */
  td_window w = {.pixel = channels,
                 .weights = weights,
                 .out = out,
                 .outside = (uint32_t)(p->in_zero_point & 0xffff) * 0x10001u,
                 .above = p->out_zero_point == -128};
  spread_weights(p->weights, TAPS * channels / 4, weights);
  memset(outside, p->in_zero_point, (uint32_t)(3 * channels));
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * channels) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      run_row(p, in, y * p->stride_h - p->pad_h, &w, outside);
    }
  }
  td_clamp(out, p->batches * p->out_h * p->out_w * channels, p->low, p->high);
}
