/* A 3 x 3 window on strips of columns of the output, four channels after four: what the kernels for
 * strides of 1 and of 2 share. Each defines STRIDE and then includes this.
 *
 * "Rows" and "columns" are those of the transposed image where p says so. A strip is 6 columns of
 * the output wide, the last ones 3 to 5. What it reads is kept as
 *     int16 [rows, PITCH, 2], indices over rows, pairs of columns, columns:
 * a row outside, the rows of a channel, a row outside, the rows of the next one, ... The left
 * column of the first pair is -pad_w. A channel's strip is computed from the top to the bottom, its
 * constants in registers of the FPU where there is one: 12 instructions for the 18 products of two
 * outputs. With each strip all rows move on, so that the pair that it shares with the next one
 * becomes the first: in the input it may have been written over. */
#ifndef TD_DEPTHWISE_3X3_H
#define TD_DEPTHWISE_3X3_H

#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

enum {
  PITCH = STRIDE == 1 ? 4 : 7, /* words */
  SECOND = STRIDE == 1         /* whether a strip begins with the second row that is read */
};

/* Of the input: the address of its first row, and the bytes to the next one: 0 where it lies
 * outside. */
typedef struct {
  uintptr_t at;
  int32_t step;
} td_column;

/* Where a pair of columns goes. */
typedef struct {
  const uint32_t *end; /* the row behind the first channel's last */
  int32_t channel;     /* bytes to the next one, and from the row before the first one to `end` */
  uint32_t outside;    /* in_zero_point twice, as int16 */
} td_pair;

/* Four channels of a strip of the output. */
typedef struct {
  int32_t step, down;    /* to the next column; from the first column to the next row's last */
  const uint32_t *end;   /* of the rows of the first channel */
  const int8_t *weights; /* [4, 3, 4]: rows of weights (0, 1, 1, 2) */
  const td_record *record, *last; /* record + 4 */
  int32_t next_out; /* bytes from below the last column to its first row of the next channel */
  int32_t channel;  /* from rows to those of the next channel; and from their end */
  int32_t next_rows;
} td_strip;

#ifdef TD_HAS_DSP

#define TD_TEXT_OF(what) #what
#define TD_TEXT(what) TD_TEXT_OF(what)

#if STRIDE == 1
#define ROW_BYTES 16 /* 4 * PITCH, as text, and its lowest bit */
#define ROW_ODD 16
#else
#define ROW_BYTES 28
#define ROW_ODD 4
#endif
#define ROW "#" TD_TEXT(ROW_BYTES)

/* Four channels of a row, from registers to where r0, r6, r7 and r1 point. */
#define SPREAD(left, right)          \
  "pkhtb r8, " right ", " left       \
  ", asr #16\n\t"                    \
  "pkhbt " left ", " left ", " right \
  ", lsl #16\n\t"                    \
  "sxtb16 " right ", " left          \
  "\n\t"                             \
  "sxtb16 " left ", " left           \
  ", ror #8\n\t"                     \
  "str " right ", [r0], " ROW        \
  "\n\t"                             \
  "str " left ", [r6], " ROW         \
  "\n\t"                             \
  "sxtb16 " left                     \
  ", r8\n\t"                         \
  "sxtb16 r8, r8, ror #8\n\t"        \
  "str " left ", [r7], " ROW         \
  "\n\t"                             \
  "str r8, [r1], " ROW "\n\t"

/* Four channels of two columns; two rows at a time, of an odd number first one. */
static void gather(td_column left, td_column right, const td_pair *pair) {
  register int32_t r1 __asm__("r1") = pair->channel;
  register uintptr_t r2 __asm__("r2") = left.at;
  register int32_t r3 __asm__("r3") = left.step;
  register uintptr_t r4 __asm__("r4") = right.at;
  register int32_t r5 __asm__("r5") = right.step;
  register uint32_t r8 __asm__("r8") = pair->outside;
  register const uint32_t *r12 __asm__("r12") = pair->end;
  __asm__ volatile(
      "sub r0, r12, r1\n\t"
      "adds r6, r0, r1\n\t"
      "adds r7, r6, r1\n\t"
      "add r9, r7, r1\n\t"
      "str r8, [r9, r1]\n\t"
      "mov r1, r9\n\t"
      "str r8, [r0], " ROW "\n\t"
      "str r8, [r6], " ROW "\n\t"
      "str r8, [r7], " ROW "\n\t"
      "str r8, [r1], " ROW "\n\t"
      "eor r9, r0, r12\n\t"
      "tst r9, #" TD_TEXT(ROW_ODD) "\n\t"
      "beq 1f\n\t"
      "ldr r9, [r2]\n\t"
      "ldr r10, [r4]\n\t"
      "adds r2, r2, r3\n\t"
      "adds r4, r4, r5\n\t" SPREAD("r9", "r10")
      "cmp r0, r12\n\t"
      "beq 2f\n"
      "1:\n\t"
      "ldr r9, [r2]\n\t"
      "ldr r10, [r2, r3]\n\t"
      "ldr r11, [r4]\n\t"
      "ldr lr, [r4, r5]\n\t"
      "add r2, r2, r3, lsl #1\n\t"
      "add r4, r4, r5, lsl #1\n\t" SPREAD("r9", "r11") SPREAD("r10", "lr")
      "cmp r0, r12\n\t"
      "bne 1b\n"
      "2:\n\t"
      : "+r"(r1), "+r"(r2), "+r"(r4), "+r"(r8)
      : "r"(r3), "r"(r5), "r"(r12)
      : "r0", "r6", "r7", "r9", "r10", "r11", "lr", "cc", "memory");
}

typedef char td_strip_layout[offsetof(td_strip, next_rows) == 32 ? 1 : -1];

/* Slots of a word: 0 to 5 are the weights, 6 to 9 the record, 10 to 18 a td_strip. */
#ifdef __ARM_FP
#define ENTER "vldmia r2, {s10, s11, s12, s13, s14, s15, s16, s17, s18}\n\t"
#define LEAVE ""
#define KEEP(slot, from) "vmov s" #slot ", " from "\n\t"
#define KEEP_TWO(slot, next, from, second) "vmov s" #slot ", s" #next ", " from ", " second "\n\t"
#define TAKE(to, slot) "vmov " to ", s" #slot "\n\t"
#define TAKE_TWO(to, second, slot, next) "vmov " to ", " second ", s" #slot ", s" #next "\n\t"
#define KEEP_RECORD "vldmia r3!, {s6, s7, s8, s9}\n\t"
#define SLOTS                                                                                      \
  , "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", \
      "s15", "s16", "s17", "s18"
#else
#define ENTER                                            \
  "ldmia r2, {r3, r4, r5, r6, r7, r8, r9, r10, r11}\n\t" \
  "sub sp, sp, #80\n\t"                                  \
  "add lr, sp, #40\n\t"                                  \
  "stmia lr, {r3, r4, r5, r6, r7, r8, r9, r10, r11}\n\t"
#define LEAVE "add sp, sp, #80\n\t"
#define KEEP(slot, from) "str " from ", [sp, #4*" #slot "]\n\t"
#define KEEP_TWO(slot, next, from, second) "strd " from ", " second ", [sp, #4*" #slot "]\n\t"
#define TAKE(to, slot) "ldr " to ", [sp, #4*" #slot "]\n\t"
#define TAKE_TWO(to, second, slot, next) "ldrd " to ", " second ", [sp, #4*" #slot "]\n\t"
#define KEEP_RECORD \
  "ldmia r3!, {r10, r11, r12, lr}\n\t" KEEP_TWO(6, 7, "r10", "r11") KEEP_TWO(8, 9, "r12", "lr")
#define SLOTS
#endif

/* r0 is where rows are read, r1 where it writes, r2 and r3 are weights (0, 1) and (1, 2) of a row,
 * r4 to r7 pairs. `from` is the sum so far. */
#define EVEN(acc, pair, next, from)    \
  "smlad " acc ", " pair ", r2, " from \
  "\n\t"                               \
  "smlabt " acc ", " next ", r3, " acc "\n\t"
#define ODD(acc, pair, next, from)      \
  "smlatb " acc ", " pair ", r2, " from \
  "\n\t"                                \
  "smlad " acc ", " next ", r3, " acc "\n\t"
#define PAIRS(how) "ldm" how ", {r4, r5, r6, r7}\n\t"
/* r0 is the second of three rows, or with strides of 2 the first: it ends where the next three
 * begin. */
#if STRIDE == 1
#define ROW_0 "db r0"
#define ROW_1 "ia r0!"
#define ROW_2 "ia r0"
#define BACK ""
#define THREE(row, a, b, c) \
  PAIRS(row) EVEN("r8", "r4", "r5", a) ODD("r9", "r4", "r5", b) EVEN("lr", "r5", "r6", c)
#define FOUR(row, a, b, c, d) \
  PAIRS(row)                  \
  EVEN("r8", "r4", "r5", a)   \
  ODD("r9", "r4", "r5", b) EVEN("r10", "r5", "r6", c) ODD("lr", "r5", "r6", d)
#define FIVE(row, a, b, c, d, e) \
  PAIRS(row)                     \
  EVEN("r8", "r4", "r5", a)      \
  ODD("r9", "r4", "r5", b)       \
  EVEN("r10", "r5", "r6", c) ODD("r11", "r5", "r6", d) EVEN("lr", "r6", "r7", e)
#define SIX(row, a, b, c, d, e, f) \
  PAIRS(row)                       \
  EVEN("r8", "r4", "r5", a)        \
  ODD("r9", "r4", "r5", b)         \
  EVEN("r10", "r5", "r6", c)       \
  ODD("r11", "r5", "r6", d) EVEN("r12", "r6", "r7", e) ODD("lr", "r6", "r7", f)
#else
#define ROW_0 "ia r0!"
#define ROW_1 ROW_0
#define ROW_2 ROW_0
#define BACK "subs r0, " ROW "\n\t"
#define THREE(row, a, b, c) \
  PAIRS(row)                \
  "adds r0, #12\n\t" EVEN("r8", "r4", "r5", a) EVEN("r9", "r5", "r6", b) EVEN("lr", "r6", "r7", c)
#define FOUR(row, a, b, c, d)                                                  \
  PAIRS(row)                                                                   \
  "ldr r12, [r0], #12\n\t" EVEN("r8", "r4", "r5", a) EVEN("r9", "r5", "r6", b) \
      EVEN("r10", "r6", "r7", c) EVEN("lr", "r7", "r12", d)
#define MORE_PAIRS(d)           \
  "smlad r11, r7, r2, " d       \
  "\n\t"                        \
  "ldmia r0!, {r4, r5, r6}\n\t" \
  "smlabt r11, r4, r3, r11\n\t"
#define FIVE(row, a, b, c, d, e) \
  PAIRS(row)                     \
  EVEN("r8", "r4", "r5", a)      \
  EVEN("r9", "r5", "r6", b) EVEN("r10", "r6", "r7", c) MORE_PAIRS(d) EVEN("lr", "r4", "r5", e)
#define SIX(row, a, b, c, d, e, f) \
  PAIRS(row)                       \
  EVEN("r8", "r4", "r5", a)        \
  EVEN("r9", "r5", "r6", b)        \
  EVEN("r10", "r6", "r7", c) MORE_PAIRS(d) EVEN("r12", "r4", "r5", e) EVEN("lr", "r5", "r6", f)
#endif

#define FINISH_OF(FINISH, acc) FINISH(acc, acc, "r4", "r5", "r6")
#define WRITE(acc) \
  "strb " acc      \
  ", [r1]\n\t"     \
  "subs r1, r1, r3\n\t"

/* From label 1 on a channel, from 2 on a row. */
#define RUN(name, BEGIN, MORE, LAST, FINISHES, WRITES)                           \
  static void name(const td_strip *strip, const uint32_t *rows, int8_t *out) {   \
    register const uint32_t *r0 __asm__("r0") = rows;                            \
    register int8_t *r1 __asm__("r1") = out;                                     \
    register const td_strip *r2 __asm__("r2") = strip;                           \
    __asm__ volatile(                                                          \
        ENTER                                                                  \
        "1:\n\t"                                                               \
        TAKE_TWO("r2", "r3", 13, 14)                                           \
        "ldmia r2!, {r7, r8, r9}\n\t"                                          \
        KEEP_RECORD KEEP_TWO(13, 14, "r2", "r3")                               \
        "sxtb16 r2, r7\n\t"                                                    \
        "sxtb16 r3, r7, ror #8\n\t"                                            \
        "sxtb16 r4, r8\n\t"                                                    \
        "sxtb16 r5, r8, ror #8\n\t"                                            \
        "sxtb16 r6, r9\n\t"                                                    \
        "sxtb16 r7, r9, ror #8\n\t"                                            \
        KEEP_TWO(0, 1, "r2", "r3") KEEP_TWO(2, 3, "r4", "r5")                  \
        KEEP_TWO(4, 5, "r6", "r7")                                             \
        "2:\n\t"                                                               \
        TAKE_TWO("r2", "r3", 0, 1) TAKE("lr", 6) BEGIN                         \
        TAKE_TWO("r2", "r3", 2, 3) MORE                                        \
        TAKE_TWO("r2", "r3", 4, 5) LAST                                        \
        BACK TAKE_TWO("r4", "r5", 7, 8) TAKE("r6", 9) FINISHES                 \
        TAKE("r3", 10) TAKE_TWO("r4", "r5", 11, 12) WRITES                     \
        "strb r8, [r1]\n\t"                                                    \
        "add r1, r1, r4\n\t"                                                   \
        "cmp r0, r5\n\t"                                                       \
        "bne 2b\n\t"                                                           \
        TAKE_TWO("r2", "r3", 17, 18)                                           \
        "adds r5, r5, r2\n\t"                                                  \
        "adds r0, r0, r3\n\t" KEEP(12, "r5")                                   \
        TAKE_TWO("r2", "r3", 15, 16) TAKE("r4", 14)                            \
        "adds r1, r1, r3\n\t"                                                  \
        "cmp r2, r4\n\t"                                                       \
        "bne 1b\n\t" LEAVE                                                     \
        : "+r"(r0), "+r"(r1), "+r"(r2)                                         \
        :                                                                      \
        : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", \
          "memory" SLOTS); \
  }
#define FINISH_TWO(FINISH) FINISH_OF(FINISH, "r8") FINISH_OF(FINISH, "r9")
#define FINISH_THREE(FINISH) FINISH_TWO(FINISH) FINISH_OF(FINISH, "lr")
#define FINISH_FOUR(FINISH) FINISH_THREE(FINISH) FINISH_OF(FINISH, "r10")
#define FINISH_FIVE(FINISH) FINISH_FOUR(FINISH) FINISH_OF(FINISH, "r11")
#define FINISH_SIX(FINISH) FINISH_FIVE(FINISH) FINISH_OF(FINISH, "r12")

/* Strips of all widths. */
#define RUN_ALL(three, four, five, six, FINISH)                                                 \
  RUN(three, THREE(ROW_0, "lr", "lr", "lr"), THREE(ROW_1, "r8", "r9", "lr"),                    \
      THREE(ROW_2, "r8", "r9", "lr"), FINISH_THREE(FINISH), WRITE("lr") WRITE("r9"))            \
  RUN(four, FOUR(ROW_0, "lr", "lr", "lr", "lr"), FOUR(ROW_1, "r8", "r9", "r10", "lr"),          \
      FOUR(ROW_2, "r8", "r9", "r10", "lr"), FINISH_FOUR(FINISH),                                \
      WRITE("lr") WRITE("r10") WRITE("r9"))                                                     \
  RUN(five, FIVE(ROW_0, "lr", "lr", "lr", "lr", "lr"),                                          \
      FIVE(ROW_1, "r8", "r9", "r10", "r11", "lr"), FIVE(ROW_2, "r8", "r9", "r10", "r11", "lr"), \
      FINISH_FIVE(FINISH), WRITE("lr") WRITE("r11") WRITE("r10") WRITE("r9"))                   \
  RUN(six, SIX(ROW_0, "lr", "lr", "lr", "lr", "lr", "lr"),                                      \
      SIX(ROW_1, "r8", "r9", "r10", "r11", "r12", "lr"),                                        \
      SIX(ROW_2, "r8", "r9", "r10", "r11", "r12", "lr"), FINISH_SIX(FINISH),                    \
      WRITE("lr") WRITE("r12") WRITE("r11") WRITE("r10") WRITE("r9"))

RUN_ALL(run_three, run_four, run_five, run_six, TD_FINISH)
/* The output's zero point is -128. */
RUN_ALL(run_three_above, run_four_above, run_five_above, run_six_above, TD_FINISH_ABOVE)

#else

static void gather(td_column left, td_column right, const td_pair *pair) {
  const int32_t channel = pair->channel / 4; /* words */
  uint32_t *to = (uint32_t *)pair->end - channel;
  *to = pair->outside;
  for (int32_t c = 0; c < 4; ++c) {
    for (int32_t y = 0; y < channel / PITCH - 1; ++y) {
      const int8_t *const first = (const int8_t *)left.at + y * left.step;
      const int8_t *const second = (const int8_t *)right.at + y * right.step;
      *(to += PITCH) = ((uint32_t)first[c] & 0xffff) | (uint32_t)second[c] << 16;
    }
    *(to += PITCH) = pair->outside; /* before the next channel's first */
  }
}

/* The window that begins with column x of a strip's rows. */
static int32_t window(const uint32_t *rows, int32_t x, const int8_t *weights, int32_t acc) {
  for (int32_t ky = 0; ky < 3; ++ky) {
    const uint32_t word = td_load4(weights + 4 * ky);
    const uint32_t first = td_even_bytes(word), second = td_odd_bytes(word);
    const uint32_t *const pair = rows + PITCH * ky + x / 2;
    if (x % 2 == 0) {
      acc = td_bottom(pair[1], second >> 16, td_dot2(pair[0], first, acc));
    } else {
      acc = td_dot2(pair[1], second, td_bottom(pair[0] >> 16, first, acc));
    }
  }
  return acc;
}

static void run(const td_strip *strip, const uint32_t *rows, int8_t *out, int32_t columns) {
  const uint32_t *end = strip->end;
  const int8_t *weights = strip->weights;
  for (const td_record *record = strip->record; record != strip->last; ++record) {
    for (; rows != end; rows += STRIDE * PITCH) {
      for (int32_t x = columns - 1; x >= 0; --x) {
        const uint32_t *const first = rows - PITCH * SECOND;
        *out = td_finish(*record, window(first, STRIDE * x, weights, record->folded));
        out += x == 0 ? strip->down : -strip->step;
      }
    }
    weights += 12;
    end += strip->channel / 4;
    rows += strip->next_rows / 4;
    out += strip->next_out;
  }
}

#define RUN(name, columns)                                                     \
  static void name(const td_strip *strip, const uint32_t *rows, int8_t *out) { \
    run(strip, rows, out, columns);                                            \
  }
RUN(run_three, 3)
RUN(run_four, 4)
RUN(run_five, 5)
RUN(run_six, 6)

#define run_three_above run_three
#define run_four_above run_four
#define run_five_above run_five
#define run_six_above run_six

#endif

#define HAS(width) (TD_STRIP_WIDTHS >> (width) & 1)

/* `out` is the last column's first row. */
static void run_strip(const td_strip *strip, const uint32_t *rows, int8_t *out, int32_t width,
                      int32_t out_zero_point) {
  if (TD_ALWAYS_ABOVE || out_zero_point == -128) {
    if (HAS(6) && width == 6) run_six_above(strip, rows, out);
    if (HAS(5) && width == 5) run_five_above(strip, rows, out);
    if (HAS(4) && width == 4) run_four_above(strip, rows, out);
    if (HAS(3) && width == 3) run_three_above(strip, rows, out);
  } else {
    if (HAS(6) && width == 6) run_six(strip, rows, out);
    if (HAS(5) && width == 5) run_five(strip, rows, out);
    if (HAS(4) && width == 4) run_four(strip, rows, out);
    if (HAS(3) && width == 3) run_three(strip, rows, out);
  }
}

/* What all channels share. */
typedef struct {
  int32_t column, row, out_row; /* bytes to the next one */
  const uint32_t *rows;         /* of the first strip */
  int32_t length;               /* words from there to their end */
  td_column outside;
} td_image;

/* All strips of four channels, the first of whose pairs of columns goes to `pair`. */
static void four_channels(const td_depthwise_conv_2d *p, const td_image *image, const int8_t *in,
                          int8_t *out, td_pair *pair, td_strip *strip) {
  const uint32_t *rows = image->rows;
  int32_t left = p->out_w, x = -p->pad_w, stop = x + 2;
  uintptr_t at = (uintptr_t)in + (uintptr_t)(x * image->column);
  do {
    const int32_t width = left <= 6 ? left : left <= 8 ? 4 : 6;
    const int32_t last = (width - 1) * strip->step;
    for (stop += STRIDE * width; x < stop; x += 2) {
      td_column first = {at, image->row}, second = {at + (uintptr_t)image->column, image->row};
      if ((uint32_t)x >= (uint32_t)p->in_w) first = image->outside;
      if ((uint32_t)(x + 1) >= (uint32_t)p->in_w) second = image->outside;
      gather(first, second, pair);
      at += 2 * (uintptr_t)image->column;
      ++pair->end;
    }
    strip->down = image->out_row + last;
    strip->end = rows + image->length;
    run_strip(strip, rows, out + last, width, p->out_zero_point);
    rows += STRIDE * width / 2;
    out += last + strip->step;
    left -= width;
  } while (left > 0);
}

static void depthwise_3x3(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                          void *scratch) {
  const int32_t c = p->in_c, needed = STRIDE * (p->out_h - 1) + 3 - p->pad_h;
  const int32_t channel = PITCH * ((needed < p->in_h ? needed : p->in_h) + 1); /* words */
  const uint32_t zeros = (uint32_t)(p->in_zero_point & 0xff) * 0x01010101u;
  const int32_t length = STRIDE * PITCH * p->out_h, transposed = p->transposed;
  const td_image image = {transposed ? p->in_h * c : c,
                          transposed ? c : p->in_w * c,
                          transposed ? c : p->out_w * c,
                          (const uint32_t *)scratch + PITCH * (SECOND + 1 - p->pad_h),
                          length,
                          {(uintptr_t)&zeros, 0}};
  td_pair pair = {0, 4 * channel, (uint32_t)(p->in_zero_point & 0xffff) * 0x10001u};
  td_strip strip = {
      transposed ? p->out_h * c : c, 0, 0, 0, 0, 0, 1 - p->out_h * image.out_row, 4 * channel,
      4 * (channel - length)};
  int8_t *const all = out;
  for (int32_t n = 0; n < p->batches; ++n) {
    strip.weights = p->weights;
    strip.record = (const td_record *)p->requant;
    for (int32_t o = 0; o < c; o += 4) {
      pair.end = (const uint32_t *)scratch + channel;
      strip.last = strip.record + 4;
      four_channels(p, &image, in + o, out + o, &pair, &strip);
      strip.weights += 4 * 12;
      strip.record += 4;
    }
    in += p->in_h * p->in_w * c;
    out += p->out_h * p->out_w * c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * c, p->low, p->high);
}

#endif
