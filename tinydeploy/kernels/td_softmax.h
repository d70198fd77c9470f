/* SOFTMAX over the last dimension, int8 to int8 or int16 to int16. */
#ifndef TD_SOFTMAX_H
#define TD_SOFTMAX_H

#include <stdint.h>

#include "td_fixedpoint.h"

/* exps[d], d < exp_count <= 256: exp(-beta * scale * d) in Q0.31, exps[0] = 2^31 - 1; elements
 * farther than that below their row's maximum count as 0.
 * rows >= 1; 1 <= depth <= 8191, so that a row's sum in Q12.19 fits 32 bits. */
typedef struct {
  const int32_t *exps;
  int32_t exp_count;
  uint32_t rows;
  uint32_t depth;
} td_softmax;

/* out[r][i] = min(255, round(256 * e(r, i) / sum_j e(r, j))) - 128
 * with e(r, i) = exps[max_j in[r][j] - in[r][i]], in the fixed point of TFLite's specification.
 * in, out: int8 [rows, depth], any alignment; out may be in. scratch: unused. */
void td_s8_softmax__scalar(const td_softmax *p, const int8_t *in, int8_t *out, void *scratch);
void td_s8_softmax__mve(const td_softmax *p, const int8_t *in, int8_t *out, void *scratch);

/* 1 / (1 + x), 0 <= x < 1, Q0.31 to Q0.31, by Newton and Raphson's division. The estimate y of
 * 2 / (1 + x) starts as 48/17 - 32/17 * (1 + x) / 2, in Q2.29. */
static inline int32_t td_one_over_one_plus(uint32_t x) {
  const int32_t half = (int32_t)((x + 0x80000000u) >> 1);
  int32_t y = 1515870810 + td_multiply_high(-1010580540, half);
  for (int i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - td_multiply_high(half, y);
    y += td_multiply_high(error, y) * 4;
  }
  /* Read as Q1.30 it is 1 / (1 + x); only 1 itself is too large for Q0.31. */
  return y >= 1 << 30 ? INT32_MAX : y * 2;
}

/* Two curves of 512 straight pieces each, over all int16 from the lowest on: exps[i] is
 * 2^15 exp(10 (i / 512 - 1)), inverses[i] is 2^15 / (1 + i / 512).
 * rows >= 1; 1 <= depth <= 65535, so that a row's sum fits 32 bits; -31 <= shift <= 30. */
typedef struct {
  const int16_t *exps;     /* [513] */
  const int16_t *inverses; /* [513] */
  uint32_t rows;
  uint32_t depth;
  int32_t multiplier, shift; /* from the input to steps of 10 / 65535 */
} td_softmax_s16;

/* out[r][i] = 2^15 e(r, i) / sum_j e(r, j), e(r, i) = exp(beta * scale * (in[r][i] - max of the
 * row)), in the fixed point of TFLite's kernel. in, out: int16 [rows, depth]; out may be in.
 * scratch: unused. */
void td_s16_softmax__scalar(const td_softmax_s16 *p, const int16_t *in, int16_t *out,
                            void *scratch);

#endif
