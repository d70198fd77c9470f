#include <stddef.h>

#include "td_depthwise_conv_2d.h"
#include "td_simd.h"

/* Two rows of the output at once, four channels after four. Their four rows of the input become
 *     columns: int16 [out_w + 2, 4, 4], indices over columns, channels, rows
 * from which a channel is computed with 12 instructions for the 18 products of a column: upper and
 * lower output take rows (0, 1) with two weights and row 2 with the third, and row 1 with the first
 * and rows (2, 3) with two. */

enum { COLUMN = 8 /* words */ };

/* What is gathered into columns: row 1 lies inside the input, and row 2 is read as if it did. */
typedef struct {
  const int8_t *rows[4];
  const int8_t *end; /* of row 1 */
  uint32_t *to;
  int32_t pixel;        /* bytes to the next column of rows 1 and 2 */
  int32_t step0, step3; /* of the others: 0 where they lie outside */
} td_gather;

/* Four channels of two rows of the output. */
typedef struct {
  const uint32_t *columns, *end; /* the first, and the last that begins a window */
  const int8_t *weights;         /* [4, 3, 4]: columns of weights (0, 1, 1, 2) */
  const td_record *record;
  int8_t *upper, *lower; /* where they are the same, the upper one is kept */
  int32_t pixel;         /* bytes to the next column of the output */
  int8_t *last;          /* upper + 4 */
} td_two_rows;

#ifdef TD_HAS_DSP

/* Rows 0 and 1 are in r5 and r6, 2 and 3 in r7 and r8; two channels are stored at a time. */
static void gather(const td_gather *g) {
  register const td_gather *r0 __asm__("r0") = g;
  __asm__ volatile(
      "ldmia r0, {r1, r2, r3, r4, r5, r6, r11, r12, lr}\n\t"
      "mov r0, r6\n\t"
      "str r5, [sp, #-8]!\n"
      "1:\n\t"
      "ldr r5, [r1]\n\t"
      "ldr r6, [r2]\n\t"
      "ldr r7, [r3]\n\t"
      "ldr r8, [r4]\n\t"
      "add r1, r1, r12\n\t"
      "add r2, r2, r11\n\t"
      "add r3, r3, r11\n\t"
      "add r4, r4, lr\n\t"
      "pkhbt r9, r5, r6, lsl #16\n\t"
      "pkhtb r5, r6, r5, asr #16\n\t"
      "pkhbt r10, r7, r8, lsl #16\n\t"
      "pkhtb r7, r8, r7, asr #16\n\t"
      "sxtb16 r6, r9\n\t"
      "sxtb16 r8, r10\n\t"
      "sxtb16 r9, r9, ror #8\n\t"
      "sxtb16 r10, r10, ror #8\n\t"
      "stmia r0!, {r6, r8, r9, r10}\n\t"
      "sxtb16 r6, r5\n\t"
      "sxtb16 r8, r7\n\t"
      "sxtb16 r9, r5, ror #8\n\t"
      "sxtb16 r10, r7, ror #8\n\t"
      "stmia r0!, {r6, r8, r9, r10}\n\t"
      "ldr r5, [sp]\n\t"
      "cmp r2, r5\n\t"
      "bne 1b\n\t"
      "add sp, sp, #8\n\t"
      : "+r"(r0)
      :
      : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
        "memory");
}

typedef char td_two_rows_layout[offsetof(td_two_rows, last) == 28 ? 1 : -1];

/* r1 to r6 are the weights, r7 and r8 the sums of the upper and the lower row, r9 and r10 those of
 * the next column, r11 and r12 a column of the input. */
#define COLUMN_OF(upper, lower, first, second) \
  "smlad " upper ", r11, " first ", " upper    \
  "\n\t"                                       \
  "smlabt " upper ", r12, " second ", " upper  \
  "\n\t"                                       \
  "smlatb " lower ", r11, " first ", " lower   \
  "\n\t"                                       \
  "smlad " lower ", r12, " second ", " lower "\n\t"
#define ONE(first, second) COLUMN_OF("r7", "r8", first, second)
#define TWO(first, second) COLUMN_OF("r9", "r10", first, second)
#define LAST(FINISH, acc) FINISH(acc, acc, "r11", "r12", "lr")

/* From label 1 on a channel, from 2 on two columns: of an odd number, at the end, the last one and
 * the one before it again. */
#define RUN(name, FINISH)                                 \
  static void name(const td_two_rows *state) {            \
    register const td_two_rows *r0 __asm__("r0") = state; \
    __asm__ volatile( \
      "ldmia r0, {r1, r2, r3, r4, r5, r6, r7, r8}\n\t" \
      "sub sp, sp, #56\n\t" \
      "add lr, sp, #24\n\t" \
      "stmia lr, {r1, r2, r3, r4, r5, r6, r7, r8}\n" \
      "1:\n\t"  \
      "ldrd r6, lr, [sp, #32]\n\t" \
      "ldmia lr!, {r7, r8, r9, r10}\n\t" \
      "stmia sp, {r7, r8, r9, r10}\n\t" \
      "ldmia r6!, {r2, r4, r5}\n\t" \
      "strd r6, lr, [sp, #32]\n\t" \
      "sxtb16 r1, r2\n\t" \
      "sxtb16 r2, r2, ror #8\n\t" \
      "sxtb16 r3, r4\n\t" \
      "sxtb16 r4, r4, ror #8\n\t" \
      "sxtb16 r6, r5, ror #8\n\t" \
      "sxtb16 r5, r5\n\t" \
      "ldrd r11, r12, [sp, #40]\n\t" \
      "strd r11, r12, [sp, #16]\n\t" \
      "ldr r0, [sp, #24]\n" \
      "2:\n\t"  \
      "ldr r7, [sp]\n\t" \
      "mov r8, r7\n\t" \
      "mov r9, r7\n\t" \
      "mov r10, r7\n\t" \
      "ldrd r11, r12, [r0], #64\n\t" ONE("r1", "r2") \
      "ldrd r11, r12, [r0, #-32]\n\t" ONE("r3", "r4") TWO("r1", "r2") \
      "ldrd r11, r12, [r0]\n\t" ONE("r5", "r6") TWO("r3", "r4") \
      "ldrd r11, r12, [r0, #32]\n\t" TWO("r5", "r6") \
      "ldrd r11, r12, [sp, #4]\n\t" \
      "ldr lr, [sp, #12]\n\t" LAST(FINISH, "r7") LAST(FINISH, "r8") LAST(FINISH, "r9") LAST(FINISH, "r10") \
      "ldrd r11, r12, [sp, #16]\n\t" \
      "ldr lr, [sp, #48]\n\t" \
      "strb r8, [r12]\n\t" \
      "strb r7, [r11]\n\t" \
      "strb r10, [r12, lr]\n\t" \
      "strb r9, [r11, lr]\n\t" \
      "ldr r7, [sp, #28]\n\t" \
      "add r11, r11, lr, lsl #1\n\t" \
      "add r12, r12, lr, lsl #1\n\t" \
      "strd r11, r12, [sp, #16]\n\t" \
      "cmp r0, r7\n\t" \
      "blo 2b\n\t" \
      "bne 3f\n\t" \
      "subs r0, #32\n\t" \
      "sub r11, r11, lr\n\t" \
      "sub r12, r12, lr\n\t" \
      "strd r11, r12, [sp, #16]\n\t" \
      "b 2b\n" \
      "3:\n\t" \
      "ldrd r7, r8, [sp, #24]\n\t" \
      "ldrd r11, r12, [sp, #40]\n\t" \
      "ldr lr, [sp, #52]\n\t" \
      "adds r7, #8\n\t" \
      "add r8, r8, #8\n\t" \
      "add r11, r11, #1\n\t" \
      "add r12, r12, #1\n\t" \
      "strd r7, r8, [sp, #24]\n\t" \
      "strd r11, r12, [sp, #40]\n\t" \
      "cmp r11, lr\n\t" \
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
#undef ONE
#undef TWO

#else

static void gather(const td_gather *g) {
  const int32_t steps[4] = {g->step0, g->pixel, g->pixel, g->step3};
  const int32_t count = (int32_t)(g->end - g->rows[1]) / g->pixel;
  int16_t *to = (int16_t *)(void *)g->to;
  for (int32_t x = 0; x < count; ++x, to += 16) {
    for (int32_t row = 0; row < 4; ++row) {
      for (int32_t c = 0; c < 4; ++c) to[4 * c + row] = g->rows[row][x * steps[row] + c];
    }
  }
}

static void run_two_rows(const td_two_rows *w) {
  const int32_t count = (int32_t)(w->end - w->columns) / COLUMN + 1;
  for (int32_t c = 0; w->upper + c != w->last; ++c) {
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
      w->lower[c + x * w->pixel] = td_finish(record, lower);
      w->upper[c + x * w->pixel] = td_finish(record, upper);
    }
  }
}

#define run_two_rows_above run_two_rows

#endif

/* Rows y and, where there is one, y + 1. */
static void two_rows(const td_depthwise_conv_2d *p, const int8_t *in, int32_t y, int8_t *out,
                     uint32_t *columns) {
  const int32_t channels = p->in_c, row_bytes = p->in_w * channels;
  const int32_t pad = p->pad_w, top = y - p->pad_h;
  const int32_t behind = p->out_w + 2 - pad; /* columns that are not before the input */
  const int32_t inside = behind < p->in_w ? behind : p->in_w;
  const uint32_t zeros = (uint32_t)(p->in_zero_point & 0xff) * 0x01010101u;
  const int8_t *const outside = (const int8_t *)&zeros;
  const int8_t *const row1 = in + (top + 1) * row_bytes;
  const int32_t has_0 = top >= 0, has_2 = top + 2 < p->in_h, has_3 = top + 3 < p->in_h;
  int8_t *const lower = y + 1 < p->out_h ? out + p->out_w * channels : out;
  const int32_t step0 = has_0 ? 4 : 0, step3 = has_3 ? 4 : 0;
  td_gather g = {{has_0 ? row1 - row_bytes : outside, row1, row1 + (has_2 ? row_bytes : 0),
                  has_3 ? row1 + 2 * row_bytes : outside},
                 row1 + inside * channels,
                 columns + COLUMN * pad,
                 channels,
                 has_0 ? channels : 0,
                 has_3 ? channels : 0};
  td_two_rows rows = {columns,    columns + COLUMN * (p->out_w - 1),
                      p->weights, (const td_record *)p->requant,
                      out,        lower,
                      channels,   out + 4};
  for (int8_t *const end = out + channels; rows.upper != end;) {
    gather(&g);
    if (!has_2) {
      int16_t *row2 = (int16_t *)(void *)(columns + COLUMN * pad) + 2;
      for (int32_t i = 0; i < 4 * inside; ++i, row2 += 4) *row2 = (int16_t)p->in_zero_point;
    }
    if (p->out_zero_point == -128) {
      run_two_rows_above(&rows);
    } else {
      run_two_rows(&rows);
    }
    g.rows[0] += step0;
    g.rows[1] += 4;
    g.rows[2] += 4;
    g.rows[3] += step3;
    g.end += 4;
    rows.weights += 4 * 12;
    rows.record += 4;
    rows.upper += 4;
    rows.lower += 4;
    rows.last += 4;
  }
}

void td_s8_depthwise_conv_2d_3x3_rows__dsp(const td_depthwise_conv_2d *p, const int8_t *in,
                                           int8_t *out, void *scratch) {
  const int32_t channels = p->in_c, words = COLUMN * (p->out_w + 2);
  uint32_t *const columns = scratch;
  int8_t *const all = out;
  /* Columns outside stay as they are. */
  for (int32_t i = 0; i < words; ++i) columns[i] = (uint32_t)(p->in_zero_point & 0xffff) * 0x10001u;
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * channels) {
    for (int32_t y = 0; y < p->out_h; y += 2) {
      two_rows(p, in, y, out, columns);
      out += (y + 1 < p->out_h ? 2 : 1) * p->out_w * channels;
    }
  }
  td_clamp(all, p->batches * p->out_h * p->out_w * channels, p->low, p->high);
}
