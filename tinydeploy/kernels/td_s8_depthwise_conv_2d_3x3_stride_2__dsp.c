#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

/* Two rows of the output at once, four channels after four. Their five rows of the input are kept
 * as
 *     pairs: int16 [out_w + 1, 4, 5, 2], indices over pairs of columns, channels, rows, columns
 * of which a window takes one whole and the left half of the next: 12 instructions for 18 products.
 * The last of the rows is the first of the next two rows of the output: these find theirs from the
 * bottom to the top, with weights to match. */

enum { ROWS = 5, PAIR = 4 * ROWS /* words */ };

/* Of the input: its first column, and the bytes to the next one: 0 where it lies outside. */
typedef struct {
  const int8_t *at;
  int32_t step;
} td_row;

/* Four channels of two rows of the output. */
typedef struct {
  int32_t lower;       /* bytes from where rows 0 to 2 go to where rows 2 to 4 do; where it is 0
                        * the former are kept */
  int32_t step;        /* bytes to the next column of the output */
  const uint32_t *end; /* of pairs */
  const uint32_t *pairs;
  const int8_t *weights; /* [4, 3, 4] */
  const td_record *record;
  int8_t *out, *last; /* out + 4 */
  int32_t flipped;    /* 8 where rows come from the bottom to the top, else 0 */
} td_two_rows;

#ifdef TD_HAS_DSP

/* Four channels of two rows. */
static void gather(td_row first, td_row second, uint32_t *to, const uint32_t *end) {
  register uint32_t *r0 __asm__("r0") = to;
  register const int8_t *r1 __asm__("r1") = first.at;
  register const int8_t *r2 __asm__("r2") = second.at;
  register int32_t r3 __asm__("r3") = first.step;
  register const uint32_t *r12 __asm__("r12") = end;
  register int32_t lr __asm__("lr") = second.step;
  __asm__ volatile(
      "1:\n\t"
      "ldr r4, [r1]\n\t"
      "ldr r5, [r1, r3]\n\t"
      "ldr r6, [r2]\n\t"
      "ldr r7, [r2, lr]\n\t"
      "add r1, r1, r3, lsl #1\n\t"
      "add r2, r2, lr, lsl #1\n\t"
      "pkhtb r8, r5, r4, asr #16\n\t"
      "pkhbt r4, r4, r5, lsl #16\n\t"
      "pkhtb r9, r7, r6, asr #16\n\t"
      "pkhbt r6, r6, r7, lsl #16\n\t"
      "sxtb16 r5, r4, ror #8\n\t"
      "sxtb16 r4, r4\n\t"
      "sxtb16 r10, r8, ror #8\n\t"
      "sxtb16 r8, r8\n\t"
      "sxtb16 r7, r6, ror #8\n\t"
      "sxtb16 r6, r6\n\t"
      "sxtb16 r11, r9, ror #8\n\t"
      "sxtb16 r9, r9\n\t"
      "str r4, [r0]\n\t"
      "str r6, [r0, #4]\n\t"
      "str r5, [r0, #20]\n\t"
      "str r7, [r0, #24]\n\t"
      "str r8, [r0, #40]\n\t"
      "str r9, [r0, #44]\n\t"
      "str r10, [r0, #60]\n\t"
      "str r11, [r0, #64]\n\t"
      "adds r0, #80\n\t"
      "cmp r0, r12\n\t"
      "bne 1b\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2)
      : "r"(r3), "r"(r12), "r"(lr)
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
}

typedef char td_two_rows_layout[offsetof(td_two_rows, flipped) == 32 ? 1 : -1];

/* r0 is the pair, which is read into r6 and r9 to r12; r1 to r5 are the weights, r7 and r8 the
 * windows that it ends, r6 and r10 those that it begins. On the stack: multiplier, scale, offset,
 * folded, where it writes, and `state`. From label 1 on a channel, from 2 on a column. */
#define RUN(name, FINISH)                                 \
  static void name(const td_two_rows *state) {            \
    register const td_two_rows *r0 __asm__("r0") = state; \
    __asm__ volatile( \
      "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8, r9}\n\t" \
      "sub sp, sp, #56\n\t" \
      "add lr, sp, #20\n\t" \
      "stmia lr, {r1, r2, r3, r4, r5, r6, r7, r8, r9}\n" \
      "1:\n\t"  \
      "ldrd r6, lr, [sp, #36]\n\t" \
      "ldr r12, [sp, #52]\n\t" \
      "ldr r11, [sp, #44]\n\t" \
      "ldr r0, [sp, #32]\n\t" \
      "ldr r4, [r6, r12]\n\t" \
      "eor r12, r12, #8\n\t" \
      "ldr r5, [r6, r12]\n\t" \
      "ldr r2, [r6, #4]\n\t" \
      "adds r6, #12\n\t" \
      "ldmia lr!, {r7, r8, r9, r10}\n\t" \
      "strd r6, lr, [sp, #36]\n\t" \
      "stmia sp, {r8, r9, r10}\n\t" \
      "strd r7, r11, [sp, #12]\n\t" \
      "mov lr, r7\n\t" \
      "sxtb16 r1, r4\n\t" \
      "sxtb16 r3, r5\n\t" \
      "sxtb16 r2, r2\n\t" \
      "sxtb16 r4, r4, ror #8\n\t" \
      "sxtb16 r5, r5, ror #8\n\t" \
      "ldmia r0, {r6, r9, r10, r11, r12}\n\t" \
      "adds r0, #80\n\t" \
      "smlad r7, r6, r1, lr\n\t" \
      "smlad r8, r10, r1, lr\n\t" \
      "smlad r7, r9, r2, r7\n\t" \
      "smlad r8, r11, r2, r8\n\t" \
      "smlad r7, r10, r3, r7\n\t" \
      "smlad r8, r12, r3, r8\n" \
      "2:\n\t"  \
      "ldr lr, [sp, #12]\n\t" \
      "ldmia r0, {r6, r9, r10, r11, r12}\n\t" \
      "adds r0, #80\n\t" \
      "smlabb r7, r6, r4, r7\n\t" \
      "smlabb r8, r10, r4, r8\n\t" \
      "smlabt r7, r9, r4, r7\n\t" \
      "smlabt r8, r11, r4, r8\n\t" \
      "smlabb r7, r10, r5, r7\n\t" \
      "smlabb r8, r12, r5, r8\n\t" \
      "smlad r6, r6, r1, lr\n\t" \
      "smlad r6, r9, r2, r6\n\t" \
      "smlad r6, r10, r3, r6\n\t" \
      "smlad r10, r10, r1, lr\n\t" \
      "smlad r10, r11, r2, r10\n\t" \
      "smlad r10, r12, r3, r10\n\t" \
      "ldmia sp, {r11, r12, lr}\n\t" \
      FINISH("r7", "r7", "r11", "r12", "lr") FINISH("r8", "r8", "r11", "r12", "lr") \
      "ldr r9, [sp, #16]\n\t" \
      "ldr r11, [sp, #20]\n\t" \
      "ldr r12, [sp, #24]\n\t" \
      "ldr lr, [sp, #28]\n\t" \
      "strb r8, [r9, r11]\n\t" \
      "strb r7, [r9]\n\t" \
      "add r9, r9, r12\n\t" \
      "str r9, [sp, #16]\n\t" \
      "mov r7, r6\n\t" \
      "mov r8, r10\n\t" \
      "cmp r0, lr\n\t" \
      "bne 2b\n\t" \
      "ldrd r7, r8, [sp, #28]\n\t" \
      "ldrd r11, r12, [sp, #44]\n\t" \
      "adds r7, #20\n\t" \
      "add r8, r8, #20\n\t" \
      "add r11, r11, #1\n\t" \
      "strd r7, r8, [sp, #28]\n\t" \
      "str r11, [sp, #44]\n\t" \
      "cmp r11, r12\n\t" \
      "bne 1b\n\t" \
      "add sp, sp, #56\n\t" \
      : "+r"(r0) \
      : \
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", \
        "memory");                                   \
  }

RUN(run_two_rows, TD_FINISH)
RUN(run_two_rows_above, TD_FINISH_ABOVE) /* the output's zero point is -128 */

#undef RUN

#else

static uint32_t pair_of(td_row row, int32_t x) {
  const int8_t *const left = row.at + x * row.step;
  return ((uint32_t)left[0] & 0xffff) | (uint32_t)left[row.step] << 16;
}

static void gather(td_row first, td_row second, uint32_t *to, const uint32_t *end) {
  for (int32_t x = 0; to != end; to += PAIR, x += 2) {
    for (int32_t c = 0; c < 4; ++c) {
      to[ROWS * c] = pair_of((td_row){first.at + c, first.step}, x);
      to[ROWS * c + 1] = pair_of((td_row){second.at + c, second.step}, x);
    }
  }
}

/* `first`, `last`: columns (0, 1) of a row of weights, and column 2 of it and of the one between.
 */
static int32_t window(const uint32_t *pair, uint32_t first, uint32_t between, uint32_t last,
                      int32_t acc) {
  acc = td_dot2(pair[0], td_even_bytes(first), acc);
  acc = td_dot2(pair[1], td_even_bytes(between), acc);
  acc = td_dot2(pair[2], td_even_bytes(last), acc);
  acc = td_bottom(pair[PAIR], td_odd_bytes(first), acc);
  acc = td_bottom(pair[PAIR + 1], td_odd_bytes(first) >> 16, acc);
  return td_bottom(pair[PAIR + 2], td_odd_bytes(last), acc);
}

static void run_two_rows(const td_two_rows *w) {
  for (int32_t c = 0; w->out + c != w->last; ++c) {
    const int8_t *const weights = w->weights + 12 * c;
    const uint32_t first = td_load4(weights + w->flipped), between = td_load4(weights + 4),
                   last = td_load4(weights + 8 - w->flipped);
    const td_record record = w->record[c];
    int8_t *out = w->out + c;
    const uint32_t *pair = w->pairs + ROWS * c;
    for (; pair + PAIR < w->end; pair += PAIR, out += w->step) {
      out[w->lower] = td_finish(record, window(pair + 2, first, between, last, record.folded));
      out[0] = td_finish(record, window(pair, first, between, last, record.folded));
    }
  }
}

#define run_two_rows_above run_two_rows

#endif

/* Rows v and v + 1 become i and i + 1, or where they are `flipped` the same from the bottom. */
static void gather_rows(const td_depthwise_conv_2d *p, const int8_t *in, int32_t v, int32_t i,
                        uint32_t *pairs, int32_t flipped) {
  const int32_t c = p->in_c, row_bytes = p->in_w * c, half = p->in_w / 2;
  const uint32_t zeros = (uint32_t)(p->in_zero_point & 0xff) * 0x01010101u;
  uint32_t *const to = pairs + (flipped ? 3 - i : i);
  const uint32_t *const end = to + PAIR * (half < p->out_w + 1 ? half : p->out_w + 1);
  td_row upper = {(const int8_t *)&zeros, 0}, lower = upper;
  if (v >= 0 && v < p->in_h) upper = (td_row){in + v * row_bytes, c};
  if (v + 1 < p->in_h) lower = (td_row){in + (v + 1) * row_bytes, c};
  gather(flipped ? lower : upper, flipped ? upper : lower, to, end);
}

/* All rows of four channels. */
static void four_channels(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                          uint32_t *pairs, td_two_rows *rows) {
  const int32_t row_bytes = p->out_w * p->in_c;
  for (int32_t y = 0; y < p->out_h; y += 2, out += 2 * row_bytes) {
    /* The last ones stand from the top to the bottom, for there may be only an upper one. */
    const int32_t flipped = (p->out_h - 1 - y) >> 1 & 1;
    for (int32_t i = y == 0 ? 0 : 1; i < ROWS; i += i == 0 ? 1 : 2) {
      gather_rows(p, in, 2 * y - p->pad_h + i, i, pairs, flipped);
    }
    rows->lower = flipped ? -row_bytes : y + 1 < p->out_h ? row_bytes : 0;
    rows->out = out + (flipped ? row_bytes : 0);
    rows->last = rows->out + 4;
    rows->flipped = 8 * flipped;
    if (TD_ALWAYS_ABOVE || p->out_zero_point == -128) {
      run_two_rows_above(rows);
    } else {
      run_two_rows(rows);
    }
  }
}

void td_s8_depthwise_conv_2d_3x3_stride_2__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                               int8_t *out, void *scratch) {
  const int32_t c = p->in_c, words = PAIR * (p->out_w + 1);
  uint32_t *const pairs = scratch;
  int8_t *const all = out;
  /* Columns outside stay as they are. */
  for (int32_t i = 0; i < words; ++i) pairs[i] = (uint32_t)(p->in_zero_point & 0xffff) * 0x10001u;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t o = 0; o < c; o += 4) {
      const td_record *const record = (const td_record *)p->requant + o;
      td_two_rows rows = {0, c, pairs + words, pairs, p->weights + 12 * o, record, out, out, 0};
      four_channels(p, in + o, out + o, pairs, &rows);
    }
    in += p->in_h * p->in_w * c;
    out += p->out_h * p->out_w * c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * c, p->low, p->high);
}
