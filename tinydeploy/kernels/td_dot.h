/* Inner products of spread pixels with pairs of rows of weights.
 *
 * Four int8 of a pixel are spread into the two words td_even_bytes and td_odd_bytes of them. Four
 * pixels lie side by side:
 *     [words, 4]: for each four int8, the even words of four pixels, then their odd words.
 * The weights of output channels a and b are two int16 a + 256 b in a word:
 *     [words]: for each four int8, those that meet the even and the odd word.
 * Words that are 0 in all weights may be left out.
 * td_dot2 with a word adds up to a's sum + 256 times b's, and with its lower bytes to a's alone:
 * one extension serves two channels. b's sum must not leave 24 bits.
 */
#ifndef TD_DOT_H
#define TD_DOT_H

#include <stddef.h>
#include <stdint.h>

#include "td_simd.h"

/* Spreads a run of 4 * quads int8, from any address, of one of four pixels to spread[0], spread[4],
 * ...; with a `half` of 1 without the last odd word, which is 0 in the weights. Returns where the
 * next run goes. */
static inline uint32_t *td_spread_1(const int8_t *from, int32_t quads, int32_t half,
                                    uint32_t *spread) {
  for (const int8_t *end = from + 4 * quads; from != end; from += 4, spread += 8) {
    const uint32_t word = td_load4(from);
    spread[0] = td_even_bytes(word);
    spread[4] = td_odd_bytes(word); /* with a half one too many, which the next run overwrites */
  }
  return spread - 4 * half;
}

/* What is spread of a pixel: `runs` of 4 * quads int8, from each to the next `step` bytes; quads >
 * half. */
typedef struct {
  int32_t quads, half, runs, step;
} td_runs;

/* The same in bytes: of a run but for a half, from its end to the next one, of all that is spread
 * of four pixels; and the half. */
typedef struct {
  int32_t run, skipped, spread, half;
} td_run_bytes;

static inline td_run_bytes td_bytes_of(const td_runs *runs) {
  const int32_t whole = runs->quads - runs->half;
  const td_run_bytes bytes = {32 * whole, runs->step - 4 * runs->quads,
                              16 * runs->runs * (runs->quads + whole), runs->half};
  return bytes;
}

/* Four pixels at once, from `first` on each `apart` bytes behind the one before. */
static inline void td_spread_4(const int8_t *first, int32_t apart, const td_run_bytes *bytes,
                               uint32_t *spread) {
#ifdef TD_HAS_DSP
  /* A compiler stores them one by one. */
  register const int8_t *r0 __asm__("r0") = first;
  register uint32_t *r1 __asm__("r1") = spread;
  register int32_t r2 __asm__("r2") = apart;
  register const td_run_bytes *r3 __asm__("r3") = bytes;
  __asm__ volatile(
      "mov r9, r0\n\t"
      "add r10, r0, r2\n\t"
      "add r11, r0, r2, lsl #1\n\t"
      "add r12, r10, r2, lsl #1\n\t"
      "ldmia r3, {r2, r3, r4, r5}\n\t"
      "adds r4, r4, r1\n\t"
      "push {r2, r3, r4, r5}\n"
      "1:\n\t"
      "adds r2, r2, r1\n"
      "2:\n\t"
      "ldr r5, [r9], #4\n\t"
      "ldr r6, [r10], #4\n\t"
      "ldr r7, [r11], #4\n\t"
      "ldr r8, [r12], #4\n\t"
      "sxtb16 r0, r5\n\t"
      "sxtb16 r3, r6\n\t"
      "sxtb16 r4, r7\n\t"
      "sxtb16 lr, r8\n\t"
      "stmia r1!, {r0, r3, r4, lr}\n\t"
      "sxtb16 r5, r5, ror #8\n\t"
      "sxtb16 r6, r6, ror #8\n\t"
      "sxtb16 r7, r7, ror #8\n\t"
      "sxtb16 r8, r8, ror #8\n\t"
      "stmia r1!, {r5, r6, r7, r8}\n\t"
      "cmp r1, r2\n\t"
      "bne 2b\n\t"
      "ldmia sp, {r2, r3, r4, r5}\n\t"
      "cbz r5, 3f\n\t"
      "ldr r5, [r9], #4\n\t"
      "ldr r6, [r10], #4\n\t"
      "ldr r7, [r11], #4\n\t"
      "ldr r8, [r12], #4\n\t"
      "sxtb16 r5, r5\n\t"
      "sxtb16 r6, r6\n\t"
      "sxtb16 r7, r7\n\t"
      "sxtb16 r8, r8\n\t"
      "stmia r1!, {r5, r6, r7, r8}\n"
      "3:\n\t"
      "add r9, r9, r3\n\t"
      "add r10, r10, r3\n\t"
      "add r11, r11, r3\n\t"
      "add r12, r12, r3\n\t"
      "cmp r1, r4\n\t"
      "bne 1b\n\t"
      "add sp, sp, #16\n\t"
      : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
      :
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#else
  const int32_t words = bytes->run / 16 + bytes->half; /* of a run */
  for (int32_t i = 0; i < 4; ++i, first += apart) {
    const int8_t *from = first;
    for (int32_t j = 0; j < bytes->spread / 16; ++j) {
      const uint32_t word = td_load4(from);
      spread[4 * j + i] = j % words % 2 ? td_odd_bytes(word) : td_even_bytes(word);
      if (j % words % 2 == 1 || j % words == words - 1) from += 4;
      if (j % words == words - 1) from += bytes->skipped;
    }
  }
#endif
}

/* Of channels a and b; records as in td_simd.h, but for where the accumulators start. */
typedef struct {
  int32_t both, a; /* a's start + 256 times b's, modulo 2^32; a's start */
  int32_t of_a[3]; /* multiplier, scale, offset */
  int32_t of_b[3]; /* as td_finish_upper has them */
} td_pair_record;

static inline int8_t td_finish_a(const td_pair_record *of, int32_t a) {
  const td_record record = {0, of->of_a[0], of->of_a[1], of->of_a[2]};
  return td_finish(record, a);
}

static inline int8_t td_finish_b(const td_pair_record *of, int32_t both, int32_t a) {
  const td_record record = {0, of->of_b[0], of->of_b[1], of->of_b[2]};
  return td_finish_upper(record, (int32_t)((uint32_t)both - (uint32_t)a));
}

/* Spread pixels, four by four, on their way through pairs of output channels: both of each. */
typedef struct {
  const uint32_t *spread;       /* [fours, words, 4] */
  const int8_t *weights;        /* [pairs, words], 4-byte aligned; moves on */
  const td_pair_record *record; /* of the first pair; moves on */
  int8_t *out;                  /* of the first pixel and pair; moves on */
  int32_t row;                  /* bytes from pixel to pixel */
  const int8_t *weights_end;    /* of the first pair; moves on */
  int32_t skipped;              /* for the function's own use */
  const uint32_t *spread_end;   /* of all fours */
  int32_t next;                 /* bytes from behind a pair's last pixel to the next pair's first */
  const td_pair_record *end;    /* of all pairs */
} td_pixels;

#ifndef TD_HAS_DSP
static inline void td_run_each(const td_pixels *p) {
  const int32_t words = (int32_t)(p->weights_end - p->weights) / 4, row = p->row;
  const int8_t *weights = p->weights;
  int8_t *out = p->out;
  for (const td_pair_record *record = p->record; record != p->end; ++record) {
    for (const uint32_t *x = p->spread; x != p->spread_end; x += 4 * words - 4) {
      for (int32_t j = 0; j < 4; ++j, ++x, out += row) {
        int32_t both = record->both, a = record->a;
        for (int32_t i = 0; i < words; ++i) {
          const uint32_t word = td_load4(weights + 4 * i);
          both = td_dot2(x[4 * i], word, both);
          a = td_dot2(x[4 * i], td_even_bytes(word), a);
        }
        out[0] = td_finish_a(record, a);
        out[1] = td_finish_b(record, both, a);
      }
    }
    out += p->next;
    weights += 4 * words;
  }
}
#endif

/* Sums of a pair of channels. */
typedef struct {
  int32_t both, a;
} td_sums;

static inline td_sums td_add_word(td_sums sums, uint32_t pixel, uint32_t weights) {
  sums.both = td_dot2(pixel, weights, sums.both);
  sums.a = td_dot2(pixel, td_even_bytes(weights), sums.a);
  return sums;
}

static inline int8_t *td_finish_pair(const td_pair_record *record, td_sums sums, int8_t *out,
                                     const int8_t *end) {
  if (out < end) *out++ = td_finish_a(record, sums.a);
  if (out < end) *out++ = td_finish_b(record, sums.both, sums.a);
  return out;
}

/* One pixel, its runs from any address, through pairs of channels, two at a time. */
static inline void td_run_pixel(const int8_t *pixel, const td_runs *runs,
                                const td_pair_record *record, const int8_t *weights, int8_t *out,
                                int32_t channels) {
  const int32_t whole = runs->quads - runs->half, skipped = runs->step - 4 * whole;
  const int32_t pair_bytes = 4 * runs->runs * (runs->quads + whole);
  for (const int8_t *const end = out + channels; out < end; weights += pair_bytes) {
    const td_pair_record *next = end - out > 2 ? record + 1 : record;
    const int8_t *first = weights, *from = pixel;
    if (next != record) weights += pair_bytes;
    const int8_t *second = weights;
    td_sums s = {record->both, record->a}, t = {next->both, next->a};
    for (int32_t run = 0; run < runs->runs; ++run, from += skipped) {
      for (const int8_t *stop = from + 4 * whole; from != stop; first += 8, second += 8) {
        const uint32_t x = td_load4(from);
        from += 4;
        s = td_add_word(s, td_even_bytes(x), td_load4(first));
        t = td_add_word(t, td_even_bytes(x), td_load4(second));
        s = td_add_word(s, td_odd_bytes(x), td_load4(first + 4));
        t = td_add_word(t, td_odd_bytes(x), td_load4(second + 4));
      }
      if (!runs->half) continue;
      const uint32_t x = td_even_bytes(td_load4(from));
      s = td_add_word(s, x, td_load4(first));
      t = td_add_word(t, x, td_load4(second));
      first += 4;
      second += 4;
    }
    out = td_finish_pair(record, s, out, end);
    out = td_finish_pair(next, t, out, end);
    record = next + 1;
  }
}

#endif
