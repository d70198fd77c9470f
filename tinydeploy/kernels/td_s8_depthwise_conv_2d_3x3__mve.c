#include <arm_mve.h>
#include <stddef.h>
#include <string.h>

#include "td_depthwise_conv_2d.h"
#include "td_mve.h"

/* Four lines of the input stand side by side, for 16 channels: [column, channel, line] of bytes. A
 * channel of four columns is then four words, which one gathering load brings, and 3 x 3 weights
 * among zeros make a sum of it in one VMLADAV: with a stride of 1 four sums, for the outputs of two
 * columns and two lines, by weights that are moved by a line, a column or both. With a stride of 2
 * it is one sum, and four loads make the outputs of four columns. */
enum {
  BLOCK = 16,           /* channels */
  COLUMN = 4 * BLOCK,   /* bytes from a column to the next */
  ADVANCE = 2 * COLUMN, /* from a load to the next, with either stride */
};

/* A block of channels on its way through tiles of four outputs. */
typedef struct {
  int32_t back, out_back; /* from behind the last tile of a channel to the next channel's first */
  const int8_t *end;      /* of the block's weights */
  int32_t tiles;          /* whole ones */
  uint32_t lanes;         /* predicate of them; of one that is not in the upper half, or 0 there */
  int8_t *out;            /* first tile */
  int32_t step;           /* bytes to the next tile's output */
  int32_t offset;
  const int32_t *requant;
  const int8_t *weights;
  uint32_t columns[4]; /* addresses of the first load's words, ADVANCE before them */
  int32_t outputs[4];  /* offsets of a tile's outputs */
} td_tiles;

typedef char td_tiles_layout[offsetof(td_tiles, columns) == 40 ? 1 : -1];

/* One load, four sums. */
#define TILE_WEIGHTS_1       \
  "vldrb.8 q0, [r8, #5]\n\t" \
  "vldrb.8 q1, [r8, #1]\n\t" \
  "vldrb.8 q2, [r8, #4]\n\t" \
  "vldrb.8 q3, [r8], #16\n\t"
#define TILE_SUMS_1               \
  "vldrw.u32 q5, [q4, #128]!\n\t" \
  "vmladav.s8 r0, q5, q0\n\t"     \
  "vmladav.s8 r2, q5, q1\n\t"     \
  "vmladav.s8 r4, q5, q2\n\t"     \
  "vmladav.s8 r6, q5, q3\n\t"

/* Four loads, four sums. */
#define TILE_WEIGHTS_2       \
  "vldrb.8 q0, [r8, #5]\n\t" \
  "adds r8, r8, #16\n\t"
#define TILE_SUMS_2               \
  "vldrw.u32 q5, [q4, #128]!\n\t" \
  "vmladav.s8 r0, q5, q0\n\t"     \
  "vldrw.u32 q1, [q4, #128]!\n\t" \
  "vmladav.s8 r2, q1, q0\n\t"     \
  "vldrw.u32 q2, [q4, #128]!\n\t" \
  "vmladav.s8 r4, q2, q0\n\t"     \
  "vldrw.u32 q3, [q4, #128]!\n\t" \
  "vmladav.s8 r6, q3, q0\n\t"

static inline int32_t tile_lines(const td_depthwise_conv_2d *p) { return p->stride_w == 1 ? 2 : 1; }

/* Of the input, padding included: as many as all tiles read. */
static inline int32_t column_count(const td_depthwise_conv_2d *p) {
  const int32_t wide = 4 / tile_lines(p);
  return p->stride_w * ((p->out_w + wide - 1) / wide * wide) + 2;
}

/* All channels of a block. r1, r2 and r3 are a channel's bias, scale and multiplier. */
#define TILES(weights, sums)                                                                  \
  __asm__ volatile(                                                                           \
      "ldrd r7, r11, [r10, #20]\n\t"                                                          \
      "ldrd r5, r9, [r10, #28]\n\t"                                                           \
      "ldr r8, [r10, #36]\n\t"                                                                \
      "vldrw.u32 q4, [r10, #40]\n\t"                                                          \
      "vldrw.u32 q7, [r10, #56]\n"                                                            \
      "1:\n\t"                                                                                \
      "ldmia r9!, {r1, r2, r3}\n\t"                                                           \
      "vdup.32 q6, r2\n\t" weights                                                            \
      "ldrd r0, r12, [r10, #12]\n\t"                                                          \
      "vmsr p0, r12\n\t"                                                                      \
      "wls lr, r0, 3f\n"                                                                      \
      "2:\n\t" sums                                                                           \
      "vmov q5[2], q5[0], r0, r4\n\t"                                                         \
      "vmov q5[3], q5[1], r2, r6\n\t"                                                         \
      "vadd.i32 q5, q5, r1\n\t"                                                               \
      "vqrdmulh.s32 q5, q5, r3\n\t"                                                           \
      "vqrdmlash.s32 q5, q6, r5\n\t"                                                          \
      "vqmovnb.s32 q5, q5\n\t"                                                                \
      "vqmovnb.s16 q5, q5\n\t"                                                                \
      "vpst\n\t"                                                                              \
      "vstrbt.32 q5, [r7, q7]\n\t"                                                            \
      "add r7, r7, r11\n\t"                                                                   \
      "le lr, 2b\n"                                                                           \
      "3:\n\t"                                                                                \
      "lsrs r12, r12, #16\n\t"                                                                \
      "beq 4f\n\t"                                                                            \
      "vmsr p0, r12\n\t"                                                                      \
      "mov lr, #1\n\t"                                                                        \
      "b 2b\n"                                                                                \
      "4:\n\t"                                                                                \
      "ldmia r10, {r0, r2, r4}\n\t"                                                           \
      "vadd.i32 q4, q4, r0\n\t"                                                               \
      "add r7, r7, r2\n\t"                                                                    \
      "cmp r8, r4\n\t"                                                                        \
      "bne 1b\n\t"                                                                            \
      : "+r"(r10)                                                                             \
      :                                                                                       \
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r11", "r12", "lr", "q0", \
        "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory")

static void run_tiles_1(td_tiles *tiles) {
  register td_tiles *r10 __asm__("r10") = tiles;
  TILES(TILE_WEIGHTS_1, TILE_SUMS_1);
}

static void run_tiles_2(td_tiles *tiles) {
  register td_tiles *r10 __asm__("r10") = tiles;
  TILES(TILE_WEIGHTS_2, TILE_SUMS_2);
}

/* Four lines of the input, for a block of channels. */
typedef struct {
  const int8_t *first[4]; /* column of each */
  int32_t step[4];        /* bytes from a column to the next; 0 for a line outside the image */
} td_lines;

/* Puts `count` columns of four lines side by side. */
static void interleave(const td_lines *lines, int32_t channels, int32_t count, int8_t *columns) {
  const int8_t *a = lines->first[0], *b = lines->first[1];
  const int8_t *c = lines->first[2], *d = lines->first[3];
  __asm__ volatile(
      "vctp.8 %[channels]\n\t"
      "wls lr, %[count], 2f\n"
      "1:\n\t"
      "vpstttt\n\t"
      "vldrbt.8 q0, [%[a]]\n\t"
      "vldrbt.8 q1, [%[b]]\n\t"
      "vldrbt.8 q2, [%[c]]\n\t"
      "vldrbt.8 q3, [%[d]]\n\t"
      "add %[a], %[a], %[sa]\n\t"
      "vst40.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "add %[b], %[b], %[sb]\n\t"
      "vst41.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "add %[c], %[c], %[sc]\n\t"
      "vst42.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "add %[d], %[d], %[sd]\n\t"
      "vst43.8 {q0, q1, q2, q3}, [%[to]]!\n\t"
      "le lr, 1b\n"
      "2:\n\t"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [to] "+r"(columns)
      : [sa] "r"(lines->step[0]), [sb] "r"(lines->step[1]), [sc] "r"(lines->step[2]),
        [sd] "r"(lines->step[3]), [channels] "r"(channels), [count] "r"(count)
      : "lr", "q0", "q1", "q2", "q3", "cc", "memory");
}

/* The outputs of line y and, with a stride of 1, of the next. */
static void all_blocks(const td_depthwise_conv_2d *p, const int8_t *image, int32_t y,
                       td_tiles *tiles) {
  const int32_t before = column_count(p) - p->pad_w;
  const int32_t count = p->in_w < before ? p->in_w : before;
  int8_t *const columns = (int8_t *)tiles->columns[0] + ADVANCE;
  int8_t outside[BLOCK];
  td_lines lines;
  vst1q_s8(outside, vdupq_n_s8((int8_t)p->in_zero_point));
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t v = y * p->stride_h - p->pad_h + i;
    const int32_t inside = v >= 0 && v < p->in_h;
    lines.first[i] = inside ? image + v * p->in_w * p->in_c : outside;
    lines.step[i] = inside ? p->in_c : 0;
  }
  tiles->requant = p->requant;
  tiles->weights = p->weights;
  for (int32_t left = p->in_c; left > 0; left -= BLOCK) {
    interleave(&lines, left, count, columns + COLUMN * p->pad_w);
    tiles->end = tiles->weights + 16 * (left < BLOCK ? left : BLOCK);
    if (p->stride_w == 1) {
      run_tiles_1(tiles);
    } else {
      run_tiles_2(tiles);
    }
    for (int32_t i = 0; i < 4; ++i) lines.first[i] += lines.step[i] != 0 ? BLOCK : 0;
    tiles->out += BLOCK;
    tiles->requant += 3 * BLOCK;
    tiles->weights += 16 * BLOCK;
  }
}

void td_s8_depthwise_conv_2d_3x3__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                      void *scratch) {
  const int32_t lines = tile_lines(p), wide = 4 / lines, left = p->out_w % wide;
  const int32_t row = p->out_w * p->out_c, loads = p->stride_w == 1 ? 1 : 4;
  const int32_t tiles = (p->out_w + wide - 1) / wide;
  const uint32_t tail = left == 0 ? 0 : wide == 2 ? 0x0f0f : (1u << 4 * left) - 1;
  td_tiles all = {.tiles = p->out_w / wide,
                  .step = wide * p->out_c,
                  .back = 4 - tiles * loads * ADVANCE,
                  .out_back = 1 - tiles * wide * p->out_c,
                  .offset = p->out_zero_point};
  int8_t *const start = out;
  for (int32_t i = 0; i < 4; ++i) {
    all.columns[i] = (uint32_t)scratch + (uint32_t)(COLUMN * i - ADVANCE);
    all.outputs[i] = i / wide * row + i % wide * p->out_c;
  }
  memset(scratch, p->in_zero_point, (size_t)(COLUMN * column_count(p)));
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; y += lines) {
      const uint32_t whole = y + lines > p->out_h ? 0x00ff : 0xffff;
      all.lanes = whole | (tail & whole) << 16;
      all.out = out;
      all_blocks(p, in, y, &all);
      out += row * (y + lines > p->out_h ? 1 : lines);
    }
  }
  td_mve_clamp(start, p->batches * p->out_h * row, p->low, p->high);
}
