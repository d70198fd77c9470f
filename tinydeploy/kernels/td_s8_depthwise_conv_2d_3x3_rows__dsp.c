#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

/* Four channels after four, of these two rows of the output at once: "rows" and "columns" are those
 * of the transposed image where p says so. Their four rows of the input are kept as
 *     columns: int16 [out_w + 2, 4, 4], indices over columns, channels, rows
 * from which a channel is computed with 12 instructions for the 18 products of a column: upper and
 * lower output take rows (0, 1) with two weights and row 2 with the third, and row 1 with the first
 * and rows (2, 3) with two. Rows 2 and 3 are rows 0 and 1 of the next two. */

enum { COLUMN = 8 /* words */ };

/* Of the input: its first column, and the bytes to the next one: 0 where it lies outside. */
typedef struct {
  const int8_t *at;
  int32_t step;
} td_row;

/* Four channels of two rows of the output. */
typedef struct {
  int32_t lower;       /* bytes to the row below; 0 where there is none: the upper one is kept */
  int32_t step;        /* bytes to the next column of the output */
  const uint32_t *end; /* the last column that begins a window */
  const uint32_t *columns;
  const int8_t *weights; /* [4, 3, 4]: columns of weights (0, 1, 1, 2) */
  const td_record *record;
  int8_t *out, *last; /* upper row; out + 4 */
} td_two_rows;

#ifdef TD_HAS_DSP

/* Four channels of two rows become rows 2 and 3, and what these were rows 0 and 1. */
static void gather(td_row row2, td_row row3, uint32_t *to, const uint32_t *end) {
  register uint32_t *r0 __asm__("r0") = to;
  register const int8_t *r1 __asm__("r1") = row2.at;
  register const int8_t *r2 __asm__("r2") = row3.at;
  register int32_t r3 __asm__("r3") = row2.step;
  register const uint32_t *r12 __asm__("r12") = end;
  register int32_t lr __asm__("lr") = row3.step;
  __asm__ volatile(
      "1:\n\t"
      "ldr r5, [r1]\n\t"
      "ldr r7, [r2]\n\t"
      "ldr r4, [r0, #4]\n\t"
      "ldr r6, [r0, #12]\n\t"
      "ldr r8, [r0, #20]\n\t"
      "ldr r10, [r0, #28]\n\t"
      "add r1, r1, r3\n\t"
      "add r2, r2, lr\n\t"
      "pkhtb r11, r7, r5, asr #16\n\t"
      "pkhbt r7, r5, r7, lsl #16\n\t"
      "sxtb16 r5, r7\n\t"
      "sxtb16 r7, r7, ror #8\n\t"
      "sxtb16 r9, r11\n\t"
      "sxtb16 r11, r11, ror #8\n\t"
      "stmia r0!, {r4, r5, r6, r7, r8, r9, r10, r11}\n\t"
      "cmp r0, r12\n\t"
      "bne 1b\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2)
      : "r"(r3), "r"(r12), "r"(lr)
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
}

typedef char td_two_rows_layout[offsetof(td_two_rows, last) == 28 ? 1 : -1];

/* r0 is the column, r1 to r6 are the weights, r7 and r8 the sums of the upper and the lower row, r9
 * and r10 those of the next column, r11 and r12 what a column holds. */
#define COLUMN_OF(upper, lower, x01, x23, first, second, from_upper, from_lower) \
  "smlad " upper ", " x01 ", " first ", " from_upper                             \
  "\n\t"                                                                         \
  "smlatb " lower ", " x01 ", " first ", " from_lower                            \
  "\n\t"                                                                         \
  "smlabt " upper ", " x23 ", " second ", " upper                                \
  "\n\t"                                                                         \
  "smlad " lower ", " x23 ", " second ", " lower "\n\t"
#define BEGIN(upper, lower, x01, x23) COLUMN_OF(upper, lower, x01, x23, "r1", "r2", "lr", "lr")
#define ONE(first, second) COLUMN_OF("r7", "r8", "r11", "r12", first, second, "r7", "r8")
#define TWO(first, second) COLUMN_OF("r9", "r10", "r11", "r12", first, second, "r9", "r10")
#define LAST(FINISH, acc) FINISH(acc, acc, "r11", "r12", "lr")

/* On the stack: multiplier, scale, offset, folded, where it writes, and `state`. From label 1 on a
 * channel, from 2 on two columns: of an odd number, at the end, the last one and the one before it
 * again. */
#define RUN(name, FINISH)                                 \
  static void name(const td_two_rows *state) {            \
    register const td_two_rows *r0 __asm__("r0") = state; \
    __asm__ volatile( \
      "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8}\n\t" \
      "sub sp, sp, #56\n\t" \
      "add lr, sp, #20\n\t" \
      "stmia lr, {r1, r2, r3, r4, r5, r6, r7, r8}\n" \
      "1:\n\t"  \
      "ldrd r6, lr, [sp, #36]\n\t" \
      "ldmia r6!, {r2, r4, r5}\n\t" \
      "ldmia lr!, {r7, r8, r9, r10}\n\t" \
      "strd r6, lr, [sp, #36]\n\t" \
      "str r7, [sp, #12]\n\t" \
      "stmia sp, {r8, r9, r10}\n\t" \
      "sxtb16 r1, r2\n\t" \
      "sxtb16 r2, r2, ror #8\n\t" \
      "sxtb16 r3, r4\n\t" \
      "sxtb16 r4, r4, ror #8\n\t" \
      "sxtb16 r6, r5, ror #8\n\t" \
      "sxtb16 r5, r5\n\t" \
      "ldr r0, [sp, #32]\n\t" \
      "ldr r11, [sp, #44]\n\t" \
      "str r11, [sp, #16]\n" \
      "2:\n\t"  \
      "ldr lr, [sp, #12]\n\t" \
      "ldrd r9, r10, [r0], #64\n\t" BEGIN("r7", "r8", "r9", "r10") \
      "ldrd r11, r12, [r0, #-32]\n\t" ONE("r3", "r4") BEGIN("r9", "r10", "r11", "r12") \
      "ldrd r11, r12, [r0]\n\t" ONE("r5", "r6") TWO("r3", "r4") \
      "ldrd r11, r12, [r0, #32]\n\t" TWO("r5", "r6") \
      "ldmia sp, {r11, r12, lr}\n\t" \
      LAST(FINISH, "r7") LAST(FINISH, "r8") LAST(FINISH, "r9") LAST(FINISH, "r10") \
      "ldr r11, [sp, #16]\n\t" \
      "ldr r12, [sp, #20]\n\t" \
      "ldr lr, [sp, #24]\n\t" \
      "strb r8, [r11, r12]\n\t" \
      "strb r7, [r11]\n\t" \
      "add r11, r11, lr\n\t" \
      "ldr r7, [sp, #28]\n\t" \
      "strb r10, [r11, r12]\n\t" \
      "strb r9, [r11]\n\t" \
      "add r11, r11, lr\n\t" \
      "str r11, [sp, #16]\n\t" \
      "cmp r0, r7\n\t" \
      "blo 2b\n\t" \
      "bne 3f\n\t" \
      "subs r0, #32\n\t" \
      "sub r11, r11, lr\n\t" \
      "str r11, [sp, #16]\n\t" \
      "b 2b\n" \
      "3:\n\t" \
      "ldrd r7, r8, [sp, #28]\n\t" \
      "ldrd r11, r12, [sp, #44]\n\t" \
      "adds r7, #8\n\t" \
      "add r8, r8, #8\n\t" \
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
#undef LAST
#undef COLUMN_OF
#undef BEGIN
#undef ONE
#undef TWO

#else

static void gather(td_row row2, td_row row3, uint32_t *to, const uint32_t *end) {
  for (int32_t x = 0; to != end; to += COLUMN, ++x) {
    for (int32_t c = 0; c < 4; ++c) {
      const uint32_t low = (uint32_t)row2.at[x * row2.step + c] & 0xffff;
      to[2 * c] = to[2 * c + 1];
      to[2 * c + 1] = low | (uint32_t)row3.at[x * row3.step + c] << 16;
    }
  }
}

static void run_two_rows(const td_two_rows *w) {
  const int32_t count = (int32_t)(w->end - w->columns) / COLUMN + 1;
  for (int32_t c = 0; w->out + c != w->last; ++c) {
    const td_record record = w->record[c];
    for (int32_t x = 0; x < count; ++x) {
      int32_t upper = record.folded, lower = upper;
      for (int32_t i = 0; i < 3; ++i) {
        const uint32_t *column = w->columns + COLUMN * (x + i) + 2 * c;
        const uint32_t word = td_load4(w->weights + 12 * c + 4 * i);
        const uint32_t first = td_even_bytes(word), second = td_odd_bytes(word);
        upper = td_bottom(column[1], second >> 16, td_dot2(column[0], first, upper));
        lower = td_dot2(column[1], second, td_bottom(column[0] >> 16, first, lower));
      }
      int8_t *const out = w->out + c + x * w->step;
      out[w->lower] = td_finish(record, lower);
      out[0] = td_finish(record, upper);
    }
  }
}

#define run_two_rows_above run_two_rows

#endif

/* All rows of four channels. */
static void four_channels(const td_depthwise_conv_2d *p, const int8_t *in, uint32_t *columns,
                          td_two_rows *rows) {
  const int32_t c = p->in_c, transposed = p->transposed;
  const int32_t row_bytes = transposed ? c : p->in_w * c, step = transposed ? p->in_h * c : c;
  const int32_t out_row_bytes = transposed ? c : p->out_w * c;
  const int32_t behind = p->out_w + 2 - p->pad_w; /* columns that are not before the input */
  uint32_t *const to = columns + COLUMN * p->pad_w;
  const uint32_t *const end = to + COLUMN * (behind < p->in_w ? behind : p->in_w);
  const uint32_t zeros = (uint32_t)(p->in_zero_point & 0xff) * 0x01010101u;
  for (int32_t y = -2, v = -p->pad_h; y < p->out_h; y += 2, v += 2) {
    td_row row2 = {(const int8_t *)&zeros, 0}, row3 = row2;
    if (v >= 0 && v < p->in_h) row2 = (td_row){in + v * row_bytes, step};
    if (v + 1 < p->in_h) row3 = (td_row){in + (v + 1) * row_bytes, step};
    gather(row2, row3, to, end);
    if (y < 0) continue;
    rows->lower = y + 1 < p->out_h ? out_row_bytes : 0;
    if (TD_ALWAYS_ABOVE || p->out_zero_point == -128) {
      run_two_rows_above(rows);
    } else {
      run_two_rows(rows);
    }
    rows->out += 2 * out_row_bytes;
    rows->last += 2 * out_row_bytes;
  }
}

void td_s8_depthwise_conv_2d_3x3_rows__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                           int8_t *out, void *scratch) {
  const int32_t c = p->in_c, words = COLUMN * (p->out_w + 2);
  uint32_t *const columns = scratch;
  int8_t *const all = out;
  /* Columns outside stay as they are. */
  for (int32_t i = 0; i < words; ++i) columns[i] = (uint32_t)(p->in_zero_point & 0xffff) * 0x10001u;
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t o = 0; o < c; o += 4) {
      td_two_rows rows = {0,
                          p->transposed ? p->out_h * c : c,
                          columns + COLUMN * (p->out_w - 1),
                          columns,
                          p->weights + 12 * o,
                          (const td_record *)p->requant + o,
                          out + o,
                          out + o + 4};
      four_channels(p, in + o, columns, &rows);
    }
    in += p->in_h * p->in_w * c;
    out += p->out_h * p->out_w * c;
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * c, p->low, p->high);
}
