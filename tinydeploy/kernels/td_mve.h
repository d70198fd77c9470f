/* Inner products and requantisation with Helium, for convolutions and fully connected layers.
 *
 * One or two pixels meet the output channels by fours, 16 products at a time:
 *
 *     weights  [ceil(channels / 4), chunks, 4, 16], zeros behind the channels and the products.
 *     pixel    16 * chunks bytes; what lies behind the products meets zeros.
 *     bias     [channels rounded up to 4]: where the sums start.
 *     requant  rows of 4 multipliers and 4 scales, one for each four channels or one for all.
 *
 * With `high` and `divide` of td_fixedpoint.h, a channel that shifts right by r >= 1 has
 *     v = high(sum, m)      = floor((2 * sum * m + 2^31) / 2^32)               VQRDMULH
 *     offset + divide(v, r) = floor((2 * v * scale + 2^31) / 2^32) + offset    VQRDMLASH
 * with scale = 2^(31 - r) where no v < 0 matters, because of a clamp at the offset. VQRDMLASH
 * rounds halves up; scale = 2^(31 - r) + 1 adds 2 v to the product: too little to move a v that is
 * not half-way as long as |v| < 2^(31 - r), and it moves those half-way below zero down, which is
 * what `divide` asks for. tinydeploy/ops/helium.py decides.
 *
 * With TD_MVE_16X8 pixels are int16, a chunk has 8 products, and rows have the multipliers alone:
 * channels are those of td_16x8.h that round once.
 */
#ifndef TD_MVE_H
#define TD_MVE_H

#include <arm_mve.h>
#include <stddef.h>
#include <stdint.h>

#include "td_element.h"

/* The order of the fields is that of the registers that one LDM fills: r0, r2, r4, r6 to r11. */
typedef struct {
  td_element *out[2];     /* the next outputs of both pixels */
  int32_t channels;       /* that are left */
  const int32_t *requant; /* the next row */
  const void *first;      /* pixel */
  int32_t step;           /* bytes from a row of `requant` to the next, or 0 */
  const void *second;     /* pixel */
  int32_t offset, chunks;
  int32_t low, high;
  const int8_t *weights;
  const int32_t *bias;
} td_mve_pixels;

/* Pairs of pixels, the first one now. */
typedef struct {
  td_mve_pixels now;
  int32_t count;
  int32_t channels; /* of each */
  const int32_t *requant;
  int32_t move, out_move; /* bytes to the next pair, and from behind the outputs to the next ones */
} td_mve_pairs;

typedef char td_mve_pixels_layout[offsetof(td_mve_pixels, low) == 36 ? 1 : -1];
typedef char td_mve_pairs_layout[offsetof(td_mve_pairs, count) == 52 ? 1 : -1];

#ifdef TD_MVE_ANY_SCALE
#define TD_MVE_AWAY(q, free) \
  "vshr.s32 " free ", " q    \
  ", #31\n\t"                \
  "vadd.i32 " q ", " q ", " free "\n\t"
#define TD_MVE_AGAIN(...) __VA_ARGS__
#else
#define TD_MVE_AWAY(...)
#define TD_MVE_AGAIN(...)
#endif

#ifdef TD_MVE_16X8

/* 8 products of int16 and int8. */
#define TD_MVE_PIXEL(q, r) "vldrh.u16 " q ", [" r "], #16\n\t"
#define TD_MVE_PIXEL_AT(q, r) "vldrh.u16 " q ", [" r "]\n\t"
#define TD_MVE_WEIGHTS(q) "vldrb.s16 " q ", [r1], #8\n\t"
#define TD_MVE_SUM(r, a, b) "vmladava.s16 " r ", " a ", " b "\n\t"
#define TD_MVE_FIRST_SUM(r, a, b) "vmladav.s16 " r ", " a ", " b "\n\t"
#define TD_MVE_SCALE(...)
#define TD_MVE_STORE(q, r) "vstrht.32 " q ", [" r "], #8\n\t"
#define TD_MVE_SATURATE_AND_STORE(q, r) \
  "vqmovnb.s32 " q ", " q               \
  "\n\t"                                \
  "vpst\n\t"                            \
  "vstrht.32 " q ", [" r "]\n\t"
#define TD_MVE_PUT(q, r) "vstrh.16 " q ", [" r "], #16\n\t"
#define TD_MVE_ROW_WORDS 4 /* of `requant` */
#define TD_MVE_TWICE "lsl #1\n\t"
#define TD_MVE_FOUR "#8\n\t"

#else

/* 16 products of int8. */
#define TD_MVE_PIXEL(q, r) "vldrb.8 " q ", [" r "], #16\n\t"
#define TD_MVE_PIXEL_AT(q, r) "vldrb.8 " q ", [" r "]\n\t"
#define TD_MVE_WEIGHTS(q) "vldrb.8 " q ", [r1], #16\n\t"
#define TD_MVE_SUM(r, a, b) "vmladava.s8 " r ", " a ", " b "\n\t"
#define TD_MVE_FIRST_SUM(r, a, b) "vmladav.s8 " r ", " a ", " b "\n\t"
#define TD_MVE_SCALE(...) __VA_ARGS__
#define TD_MVE_STORE(q, r) "vstrbt.32 " q ", [" r "], #4\n\t"
#define TD_MVE_SATURATE_AND_STORE(q, r) \
  "vqmovnb.s32 " q ", " q               \
  "\n\t"                                \
  "vqmovnb.s16 " q ", " q               \
  "\n\t"                                \
  "vpst\n\t"                            \
  "vstrbt.32 " q ", [" r "]\n\t"
#define TD_MVE_PUT(q, r) "vstrb.8 " q ", [" r "], #16\n\t"
#define TD_MVE_ROW_WORDS 8
#define TD_MVE_TWICE "lsl #0\n\t"
#define TD_MVE_FOUR "#4\n\t"

#endif

/* 4 channels, a vector of products of two pixels: 6 loads, which overlap with 8 multiplications. */
#define TD_MVE_CHUNK_2X4        \
  TD_MVE_PIXEL("q0", "r7")      \
  TD_MVE_WEIGHTS("q2")          \
  TD_MVE_SUM("r0", "q0", "q2")  \
  TD_MVE_PIXEL("q1", "r9")      \
  TD_MVE_SUM("r8", "q1", "q2")  \
  TD_MVE_WEIGHTS("q3")          \
  TD_MVE_SUM("r2", "q0", "q3")  \
  TD_MVE_WEIGHTS("q2")          \
  TD_MVE_SUM("r10", "q1", "q3") \
  TD_MVE_SUM("r4", "q0", "q2")  \
  TD_MVE_WEIGHTS("q3")          \
  TD_MVE_SUM("r12", "q1", "q2") \
  TD_MVE_SUM("r6", "q0", "q3")  \
  TD_MVE_SUM("lr", "q1", "q3")

/* All channels of pairs of pixels. In assembly because it needs every register: the sums are r0,
 * r2, r4, r6 of the first and r8, r10, r12, lr of the second pixel, r1 walks over the weights, r3
 * over the bias. */
static inline void td_mve_two_pixels(td_mve_pairs *pairs) {
  register td_mve_pairs *r5 __asm__("r5") = pairs;
  __asm__ volatile(
      "ldrd r0, r2, [r5, #36]\n\t"
      "ldrd r1, r3, [r5, #44]\n\t"
      "vdup.32 q6, r0\n\t"
      "vdup.32 q7, r2\n\t"
      "ldr r7, [r5, #16]\n\t"
      "ldr r9, [r5, #24]\n\t"
      "ldr r11, [r5, #32]\n"
      "1:\n\t"
      "ldrd r0, r2, [r3], #8\n\t"
      "ldrd r4, r6, [r3], #8\n\t"
      "ldrd r8, r10, [r3, #-16]\n\t"
      "ldrd r12, lr, [r3, #-8]\n\t"
      "tst r11, #1\n\t"
      "bne 3f\n"
      "2:\n\t" TD_MVE_CHUNK_2X4 "3:\n\t" TD_MVE_CHUNK_2X4
      "subs r11, r11, #2\n\t"
      "bgt 2b\n\t"
      "vmov q0[2], q0[0], r0, r4\n\t"
      "vmov q0[3], q0[1], r2, r6\n\t"
      "vmov q1[2], q1[0], r8, r12\n\t"
      "vmov q1[3], q1[1], r10, lr\n\t"
      "ldmia r5, {r0, r2, r4, r6, r7, r8, r9, r10, r11}\n\t"
      "vldrw.u32 q2, [r6]\n\t"
      "vqrdmulh.s32 q0, q0, q2\n\t"
      TD_MVE_SCALE("vldrw.u32 q3, [r6, #16]\n\t")
      "vqrdmulh.s32 q1, q1, q2\n\t"
      "add r6, r6, r8\n\t"
      TD_MVE_AWAY("q0", "q2") TD_MVE_AWAY("q1", "q2")
      TD_MVE_SCALE("vqrdmlash.s32 q0, q3, r10\n\t")
      TD_MVE_SCALE("vqrdmlash.s32 q1, q3, r10\n\t")
      "vmax.s32 q0, q0, q6\n\t"
      "vmax.s32 q1, q1, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vmin.s32 q1, q1, q7\n\t"
      "vctp.32 r4\n\t"
      "vpstt\n\t"
      TD_MVE_STORE("q0", "r0")
      TD_MVE_STORE("q1", "r2")
      "subs r4, r4, #4\n\t"
      "stmia r5, {r0, r2, r4, r6}\n\t"
      "bgt 1b\n\t"
      "ldrd r6, r8, [r5, #64]\n\t" /* the next pair; r4 is what was too much of the channels */
      "add r4, r8, r4, " TD_MVE_TWICE
      "add r7, r7, r6\n\t"
      "adds r0, r0, r4\n\t"
      "add r9, r9, r6\n\t"
      "adds r2, r2, r4\n\t"
      "str r7, [r5, #16]\n\t"
      "ldrd r4, r6, [r5, #56]\n\t"
      "str r9, [r5, #24]\n\t"
      "stmia r5, {r0, r2, r4, r6}\n\t"
      "ldrd r1, r3, [r5, #44]\n\t"
      "ldr r0, [r5, #52]\n\t"
      "subs r0, r0, #1\n\t"
      "str r0, [r5, #52]\n\t"
      "bgt 1b\n\t"
      : "+r"(r5)
      :
      : "r0", "r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "q0", "q1",
        "q2", "q3", "q6", "q7", "cc", "memory");
}

#undef TD_MVE_CHUNK_2X4

#define TD_MVE_CHUNK_1X4       \
  TD_MVE_PIXEL("q0", "r7")     \
  TD_MVE_WEIGHTS("q2")         \
  TD_MVE_SUM("r0", "q0", "q2") \
  TD_MVE_WEIGHTS("q3")         \
  TD_MVE_SUM("r2", "q0", "q3") \
  TD_MVE_WEIGHTS("q2")         \
  TD_MVE_SUM("r4", "q0", "q2") \
  TD_MVE_WEIGHTS("q3")         \
  TD_MVE_SUM("r6", "q0", "q3")

/* All channels of the first pixel. */
static inline void td_mve_one_pixel(td_mve_pixels *pixels) {
  register td_mve_pixels *r5 __asm__("r5") = pixels;
  __asm__ volatile(
      "ldr r3, [r5]\n\t"
      "ldr r12, [r5, #8]\n\t"
      "ldrd r0, r2, [r5, #36]\n\t"
      "ldrd r1, r9, [r5, #44]\n\t"
      "vdup.32 q6, r0\n\t"
      "vdup.32 q7, r2\n\t"
      "ldrd r8, r7, [r5, #12]\n\t" /* requant, first */
      "ldr r11, [r5, #32]\n\t"
      "ldr r10, [r5, #28]\n"
      "1:\n\t"
      "ldrd r0, r2, [r9], #8\n\t"
      "ldrd r4, r6, [r9], #8\n\t"
      "add lr, r11, #1\n\t"
      "lsr lr, lr, #1\n\t"
      "tst r11, #1\n\t"
      "dls lr, lr\n\t"
      "bne 3f\n"
      "2:\n\t" TD_MVE_CHUNK_1X4 "3:\n\t" TD_MVE_CHUNK_1X4
      "le lr, 2b\n\t"
      "sub r7, r7, r11, lsl #4\n\t"
      "vmov q0[2], q0[0], r0, r4\n\t"
      "vmov q0[3], q0[1], r2, r6\n\t"
      "vldrw.u32 q2, [r8]\n\t"
      "vqrdmulh.s32 q0, q0, q2\n\t"
      TD_MVE_SCALE("vldrw.u32 q3, [r8, #16]\n\t")
      TD_MVE_AWAY("q0", "q2") TD_MVE_SCALE("vqrdmlash.s32 q0, q3, r10\n\t")
      "vmax.s32 q0, q0, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vctp.32 r12\n\t"
      "vpst\n\t"
      TD_MVE_STORE("q0", "r3")
      "ldr lr, [r5, #20]\n\t"
      "add r8, r8, lr\n\t"
      "subs r12, r12, #4\n\t"
      "bgt 1b\n\t"
      : "+r"(r5)
      :
      : "r0", "r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "q0", "q2",
        "q3", "q6", "q7", "cc", "memory");
}

#undef TD_MVE_CHUNK_1X4

/* Pixels of one vector of products or less. The order of the fields is that of registers, as above:
 * r0, r4, r7, r8; r1, r3, r9 to r12. */
typedef struct {
  int32_t channels, count;
  td_element *out;   /* of the first pixel */
  const void *first; /* pixel */
  const int8_t *weights;
  const int32_t *bias;
  int32_t step, out_step; /* bytes to the next pixel, and to its outputs */
  int32_t offset;
  const int32_t *requant;
} td_mve_run;

/* All channels of `count` pixels, saturated: the weights of four channels stay
 * where they are, and pixel after pixel passes. */
static inline void td_mve_one_chunk(td_mve_run *run) {
  register td_mve_run *r5 __asm__("r5") = run;
  __asm__ volatile(
      "add r0, r5, #16\n\t"
      "ldmia r0, {r1, r3, r9, r10, r11, r12}\n"
      "1:\n\t"
      TD_MVE_WEIGHTS("q0")
      TD_MVE_WEIGHTS("q1")
      TD_MVE_WEIGHTS("q2")
      TD_MVE_WEIGHTS("q3")
      "vldrw.u32 q4, [r3], #16\n\t"
      "vldrw.u32 q5, [r12], #16\n\t"
      TD_MVE_SCALE("vldrw.u32 q6, [r12], #16\n\t")
      "ldmia r5, {r0, r4, r7, r8}\n\t"
      "vctp.32 r0\n\t"
      "add r2, r7, " TD_MVE_FOUR
      "subs r0, r0, #4\n\t"
      "str r2, [r5, #8]\n\t"
      "str r0, [r5]\n\t"
      "dls lr, r4\n"
      "2:\n\t"
      TD_MVE_PIXEL_AT("q7", "r8")
      TD_MVE_FIRST_SUM("r0", "q7", "q0")
      "add r8, r8, r9\n\t"
      TD_MVE_FIRST_SUM("r2", "q7", "q1")
      TD_MVE_FIRST_SUM("r4", "q7", "q2")
      TD_MVE_FIRST_SUM("r6", "q7", "q3")
      "vmov q7[2], q7[0], r0, r4\n\t"
      "vmov q7[3], q7[1], r2, r6\n\t"
      "vadd.i32 q7, q7, q4\n\t"
      TD_MVE_AGAIN("vldrw.u32 q5, [r12, #-32]\n\t")
      "vqrdmulh.s32 q7, q7, q5\n\t"
      TD_MVE_AWAY("q7", "q5") TD_MVE_SCALE("vqrdmlash.s32 q7, q6, r11\n\t")
      TD_MVE_SATURATE_AND_STORE("q7", "r7")
      "add r7, r7, r10\n\t"
      "le lr, 2b\n\t"
      "bgt 1b\n\t"
      : "+r"(r5)
      :
      : "r0", "r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "q0", "q1",
        "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
}

/* In place: each of `count` elements not below `low` and not above `high`. */
static inline void td_mve_clamp(td_element *data, int32_t count, int32_t low, int32_t high) {
  if (low <= TD_ELEMENT_MIN && high >= TD_ELEMENT_MAX) return;
#ifdef TD_MVE_16X8
  const int16x8_t lows = vdupq_n_s16((int16_t)low), highs = vdupq_n_s16((int16_t)high);
#define TD_MVE_SIZE "16"
#else
  const int8x16_t lows = vdupq_n_s8((int8_t)low), highs = vdupq_n_s8((int8_t)high);
#define TD_MVE_SIZE "8"
#endif
  __asm__ volatile(
      "wlstp." TD_MVE_SIZE " lr, %[count], 2f\n"
      "1:\n\t"
      TD_MVE_PIXEL_AT("q0", "%[data]")
      "vmax.s" TD_MVE_SIZE " q0, q0, %q[low]\n\t"
      "vmin.s" TD_MVE_SIZE " q0, q0, %q[high]\n\t"
      TD_MVE_PUT("q0", "%[data]")
      "letp lr, 1b\n"
      "2:\n\t"
      : [data] "+r"(data)
      : [count] "r"(count), [low] "w"(lows), [high] "w"(highs)
      : "lr", "q0", "memory");
}

#endif
