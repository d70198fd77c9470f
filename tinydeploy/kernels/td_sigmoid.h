/* LOGISTIC and TANH, int16, by a table of the logistic function.
 *
 * x = floor((in * multiplier + 2^(shift - 1)) / 2^shift) counts steps of 1 / (3 * 2^12); without
 * rounding where shift is 0. table[i] is 2^16 / (1 + exp(-i / 24)), and what lies between is
 * interpolated; from i = 255 on the output saturates.
 *
 *     LOGISTIC: 2^15 / (1 + exp(-x))      TANH: 2^15 * (2 / (1 + exp(-2 x)) - 1)
 *
 * Arguments of both kernels:
 *     p: count >= 1, 0 <= multiplier < 2^15, 0 <= shift <= 31.
 *     in: int16 [count]. out: int16 [count], may be in. scratch: unused.
 */
#ifndef TD_SIGMOID_H
#define TD_SIGMOID_H

#include <stdint.h>

typedef struct {
  const int32_t *table; /* [256] */
  uint32_t count;
  int32_t multiplier, shift;
} td_sigmoid;

void td_s16_logistic__scalar(const td_sigmoid *p, const int16_t *in, int16_t *out, void *scratch);
void td_s16_tanh__scalar(const td_sigmoid *p, const int16_t *in, int16_t *out, void *scratch);

static inline int32_t td_sigmoid_steps(const td_sigmoid *p, int32_t in) {
  const int32_t half = p->shift > 0 ? (int32_t)(1u << (p->shift - 1)) : 0;
  return (in * p->multiplier + half) >> p->shift;
}

/* 2^(16 + bits) / (1 + exp(-x / (24 * 2^bits))), interpolated; `most` from x = 255 * 2^bits on. */
static inline int32_t td_sigmoid_at(const td_sigmoid *p, int32_t x, int32_t bits, int32_t most) {
  const int32_t i = x >> bits, rest = x & ((1 << bits) - 1);
  if (i >= 255) return most;
  return p->table[i] * (1 << bits) + rest * (p->table[i + 1] - p->table[i]);
}

#endif
