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
 */
#ifndef TD_MVE_H
#define TD_MVE_H

#include <arm_mve.h>
#include <stddef.h>
#include <stdint.h>

/* The order of the fields is that of the registers that one LDM fills: r0, r2, r4, r6 to r11. */
typedef struct {
  int8_t *out[2];         /* the next outputs of both pixels */
  int32_t channels;       /* that are left */
  const int32_t *requant; /* the next row */
  const int8_t *first;    /* pixel */
  int32_t step;           /* bytes from a row of `requant` to the next: 0 or 32 */
  const int8_t *second;   /* pixel */
  int32_t offset, chunks;
  int32_t low, high;
  const int8_t *weights;
  const int32_t *bias;
  /* For pairs alone: how many; and for the next one again, what `first` and `second`, and what
   * `out` moves by. */
  int32_t pairs;
  int32_t all_channels;
  const int32_t *all_requant;
  int32_t move, out_move;
} td_mve_pixels;

typedef char td_mve_pixels_layout[offsetof(td_mve_pixels, low) == 36 ? 1 : -1];

/* 4 channels, 16 products of two pixels: 6 loads, which overlap with 8 multiplications. */
#define TD_MVE_CHUNK_2X4        \
  "vldrb.8 q0, [r7], #16\n\t"   \
  "vldrb.8 q2, [r1], #16\n\t"   \
  "vmladava.s8 r0, q0, q2\n\t"  \
  "vldrb.8 q1, [r9], #16\n\t"   \
  "vmladava.s8 r8, q1, q2\n\t"  \
  "vldrb.8 q3, [r1], #16\n\t"   \
  "vmladava.s8 r2, q0, q3\n\t"  \
  "vldrb.8 q2, [r1], #16\n\t"   \
  "vmladava.s8 r10, q1, q3\n\t" \
  "vmladava.s8 r4, q0, q2\n\t"  \
  "vldrb.8 q3, [r1], #16\n\t"   \
  "vmladava.s8 r12, q1, q2\n\t" \
  "vmladava.s8 r6, q0, q3\n\t"  \
  "vmladava.s8 lr, q1, q3\n\t"

/* All channels of pairs of pixels. In assembly because it needs every register: the sums are r0,
 * r2, r4, r6 of the first and r8, r10, r12, lr of the second pixel, r1 walks over the weights, r3
 * over the bias. */
static inline void td_mve_pairs(td_mve_pixels *pixels) {
  register td_mve_pixels *r5 __asm__("r5") = pixels;
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
      "vldrw.u32 q3, [r6, #16]\n\t"
      "vqrdmulh.s32 q1, q1, q2\n\t"
      "add r6, r6, r8\n\t"
      "vqrdmlash.s32 q0, q3, r10\n\t"
      "vqrdmlash.s32 q1, q3, r10\n\t"
      "vmax.s32 q0, q0, q6\n\t"
      "vmax.s32 q1, q1, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vmin.s32 q1, q1, q7\n\t"
      "vctp.32 r4\n\t"
      "vpstt\n\t"
      "vstrbt.32 q0, [r0], #4\n\t"
      "vstrbt.32 q1, [r2], #4\n\t"
      "subs r4, r4, #4\n\t"
      "stmia r5, {r0, r2, r4, r6}\n\t"
      "bgt 1b\n\t"
      "ldrd r6, r8, [r5, #64]\n\t" /* the next pair; r4 is what was too much of the channels */
      "adds r4, r4, r8\n\t"
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
  "vldrb.8 q0, [r7], #16\n\t"  \
  "vldrb.8 q2, [r1], #16\n\t"  \
  "vmladava.s8 r0, q0, q2\n\t" \
  "vldrb.8 q3, [r1], #16\n\t"  \
  "vmladava.s8 r2, q0, q3\n\t" \
  "vldrb.8 q2, [r1], #16\n\t"  \
  "vmladava.s8 r4, q0, q2\n\t" \
  "vldrb.8 q3, [r1], #16\n\t"  \
  "vmladava.s8 r6, q0, q3\n\t"

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
      "vldrw.u32 q3, [r8, #16]\n\t"
      "vqrdmlash.s32 q0, q3, r10\n\t"
      "vmax.s32 q0, q0, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vctp.32 r12\n\t"
      "vpst\n\t"
      "vstrbt.32 q0, [r3], #4\n\t"
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

/* Pixels of 16 products or less. The order of the fields is that of registers, as above: r0, r4,
 * r7, r8; r1, r3, r9 to r12. */
typedef struct {
  int32_t channels, count;
  int8_t *out;         /* of the first pixel */
  const int8_t *first; /* pixel */
  const int8_t *weights;
  const int32_t *bias;
  int32_t step, out_step; /* bytes to the next pixel, and to its outputs */
  int32_t offset;
  const int32_t *requant;
} td_mve_run;

/* All channels of `count` pixels, not below -128 nor above 127: the weights of four channels stay
 * where they are, and pixel after pixel passes. */
static inline void td_mve_one_chunk(td_mve_run *run) {
  register td_mve_run *r5 __asm__("r5") = run;
  __asm__ volatile(
      "add r0, r5, #16\n\t"
      "ldmia r0, {r1, r3, r9, r10, r11, r12}\n"
      "1:\n\t"
      "vldrb.8 q0, [r1], #16\n\t"
      "vldrb.8 q1, [r1], #16\n\t"
      "vldrb.8 q2, [r1], #16\n\t"
      "vldrb.8 q3, [r1], #16\n\t"
      "vldrw.u32 q4, [r3], #16\n\t"
      "vldrw.u32 q5, [r12], #16\n\t"
      "vldrw.u32 q6, [r12], #16\n\t"
      "ldmia r5, {r0, r4, r7, r8}\n\t"
      "vctp.32 r0\n\t"
      "add r2, r7, #4\n\t"
      "subs r0, r0, #4\n\t"
      "str r2, [r5, #8]\n\t"
      "str r0, [r5]\n\t"
      "dls lr, r4\n"
      "2:\n\t"
      "vldrb.8 q7, [r8]\n\t"
      "vmladav.s8 r0, q7, q0\n\t"
      "add r8, r8, r9\n\t"
      "vmladav.s8 r2, q7, q1\n\t"
      "vmladav.s8 r4, q7, q2\n\t"
      "vmladav.s8 r6, q7, q3\n\t"
      "vmov q7[2], q7[0], r0, r4\n\t"
      "vmov q7[3], q7[1], r2, r6\n\t"
      "vadd.i32 q7, q7, q4\n\t"
      "vqrdmulh.s32 q7, q7, q5\n\t"
      "vqrdmlash.s32 q7, q6, r11\n\t"
      "vqmovnb.s32 q7, q7\n\t"
      "vqmovnb.s16 q7, q7\n\t"
      "vpst\n\t"
      "vstrbt.32 q7, [r7]\n\t"
      "add r7, r7, r10\n\t"
      "le lr, 2b\n\t"
      "bgt 1b\n\t"
      : "+r"(r5)
      :
      : "r0", "r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "q0", "q1",
        "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
}

/* In place: each of `count` bytes not below `low` and not above `high`. */
static inline void td_mve_clamp(int8_t *data, int32_t count, int32_t low, int32_t high) {
  if (low <= -128 && high >= 127) return;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[data]]\n\t"
      "vmax.s8 q0, q0, %q[low]\n\t"
      "vmin.s8 q0, q0, %q[high]\n\t"
      "vstrb.8 q0, [%[data]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [data] "+r"(data)
      : [count] "r"(count), [low] "w"(vdupq_n_s8((int8_t)low)), [high] "w"(vdupq_n_s8((int8_t)high))
      : "lr", "q0", "memory");
}

#endif
