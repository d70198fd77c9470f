#include <arm_mve.h>
#include <stddef.h>
#include <string.h>

#include "td_depthwise_conv_2d.h"
#include "td_mve.h"

/* A channel of a line of the input is gathered into bytes that follow each other. 16 of them make
 * four outputs: one load, and four sums by weights that are moved by one place after the other. */
enum { OUTPUTS = 4, CHANNEL = 16 /* bytes of weights */ };

/* A channel on its way along the line. */
typedef struct {
  const int8_t *line; /* padding included */
  int32_t count;      /* outputs */
  int32_t advance;    /* bytes from four outputs to the next four */
  int32_t zero_point; /* of the output */
  int8_t *out;
  const int8_t *weights;
  const int32_t *requant;
  uint32_t places[OUTPUTS]; /* bytes from the first of four outputs to each */
} td_line;

typedef char td_line_layout[offsetof(td_line, places) == 28 ? 1 : -1];

/* r1 is the line, r3 how many outputs are left, r9 the next one; r12 and r11 are bias and
 * multiplier, q5 the scale. */
static void run_channel(const td_line *line) {
  register const td_line *r10 __asm__("r10") = line;
  __asm__ volatile(
      "ldrd r1, r3, [r10]\n\t"
      "ldrd r5, r8, [r10, #8]\n\t"
      "ldrd r9, r11, [r10, #16]\n\t"
      "ldr r12, [r10, #24]\n\t"
      "vldrw.u32 q6, [r10, #28]\n\t"
      "vldrb.8 q0, [r11, #3]\n\t"
      "vldrb.8 q1, [r11, #2]\n\t"
      "vldrb.8 q2, [r11, #1]\n\t"
      "vldrb.8 q3, [r11]\n\t"
      "ldrd r0, r11, [r12, #4]\n\t"
      "ldr r12, [r12]\n\t"
      "vdup.32 q5, r0\n\t"
      "adds r0, r3, #3\n\t"
      "lsrs r0, r0, #2\n\t"
      "dls lr, r0\n"
      "1:\n\t"
      "vldrb.8 q4, [r1], #4\n\t"
      "vmladav.s8 r0, q4, q0\n\t"
      "vctp.32 r3\n\t"
      "vmladav.s8 r2, q4, q1\n\t"
      "subs r3, r3, #4\n\t"
      "vmladav.s8 r4, q4, q2\n\t"
      "vmladav.s8 r6, q4, q3\n\t"
      "vmov q4[2], q4[0], r0, r4\n\t"
      "vmov q4[3], q4[1], r2, r6\n\t"
      "vadd.i32 q4, q4, r12\n\t"
      "vqrdmulh.s32 q4, q4, r11\n\t"
      "vqrdmlash.s32 q4, q5, r8\n\t"
      "vqmovnb.s32 q4, q4\n\t"
      "vqmovnb.s16 q4, q4\n\t"
      "vpst\n\t"
      "vstrbt.32 q4, [r9, q6]\n\t"
      "add r9, r9, r5\n\t"
      "le lr, 1b\n\t"
      :
      : "r"(r10)
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r11", "r12", "lr", "q0", "q1", "q2",
        "q3", "q4", "q5", "q6", "cc", "memory");
}

/* `places`: bytes from the first of eight neighbours to each; `advance` to the next eight. */
static void gather(const int8_t *from, uint16x8_t places, int32_t advance, int32_t count,
                   int8_t *to) {
  __asm__ volatile(
      "dlstp.16 lr, %[count]\n"
      "1:\n\t"
      "vldrb.s16 q0, [%[from], %q[places]]\n\t"
      "add %[from], %[from], %[advance]\n\t"
      "vstrb.16 q0, [%[to]], #8\n\t"
      "letp lr, 1b\n\t"
      : [from] "+r"(from), [to] "+l"(to)
      : [places] "w"(places), [advance] "r"(advance), [count] "r"(count)
      : "lr", "q0", "memory");
}

void td_s8_depthwise_conv_2d_line__mve(const td_depthwise_conv_2d *p, const int8_t *in, int8_t *out,
                                       void *scratch) {
  const int32_t c = p->in_c, lines = p->in_h, transposed = p->transposed;
  const int32_t step = transposed ? lines * c : c, behind = p->out_w + p->kernel_w - 1 - p->pad_w;
  const int32_t count = behind < p->in_w ? behind : p->in_w;
  const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
  int8_t *const inside = (int8_t *)scratch + p->pad_w, *const all = out;
  td_line line = {.line = scratch,
                  .count = p->out_w,
                  .advance = OUTPUTS * step,
                  .zero_point = p->out_zero_point};
  vst1q_u32(line.places, vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step));
  memset(scratch, p->in_zero_point, (size_t)((p->out_w + 3) / 4 * 4 + CHANNEL - OUTPUTS));
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t y = 0; y < lines; ++y) {
      const int8_t *from = in + y * (transposed ? c : p->in_w * c);
      line.out = out + y * (transposed ? c : p->out_w * c);
      line.weights = p->weights;
      line.requant = p->requant;
      for (const int8_t *const end = from + c; from != end; ++from) {
        gather(from, places, 8 * step, count, inside);
        run_channel(&line);
        ++line.out;
        line.weights += CHANNEL;
        line.requant += 3;
      }
    }
    in += lines * p->in_w * c;
    out += lines * p->out_w * c;
  }
  td_mve_clamp(all, p->batches * lines * p->out_w * c, p->low, p->high);
}
