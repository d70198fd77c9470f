/* MUL, int8 or int16, operands that broadcast.
 *
 * Arguments of every kernel:
 *     p: low and high within the element type.
 *     inputs: the operands that are computed at run time, one or two: int8, or int16 for s16.
 *     out: of the same type. May be the memory of an operand that has all of the output's
 *         elements, and must not overlap another.
 *     scratch: not used.
 */
#ifndef TD_MUL_H
#define TD_MUL_H

#include <stdint.h>

#include "td_fixedpoint.h"
#include "td_operands.h"

/* out = clamp(requantize((a - zero0) * (b - zero1), multiplier, shift) + zero_point, low, high) */
typedef struct {
  td_operands operands;
  int32_t zero0, zero1;
  int32_t multiplier, shift;
  int32_t zero_point;
  int32_t low, high;
} td_mul;

/* out = clamp((floor((a - zero0) * (b - zero1) * multiplier / 2^17) + offset) / 2^shift, low,
 * high), the last division rounded down; no sum of these overflows. Only for operands whose
 * parameters make this the same function as td_mul's, and with operands.step0 = step1 = 1. */
typedef struct {
  td_operands operands;
  int32_t zero0, zero1;
  int32_t multiplier;
  int32_t offset;
  int32_t shift; /* 16 to 31 */
  int32_t low, high;
} td_mul_affine;

void td_s8_mul__scalar(const td_mul *p, const void *const *inputs, int8_t *out, void *scratch);
void td_s16_mul__scalar(const td_mul *p, const void *const *inputs, int16_t *out, void *scratch);
void td_s8_mul_affine__dsp(const td_mul_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch);
void td_s8_mul_affine__mve(const td_mul_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch);

static inline void td_mul_row(const void *params, const td_element *a, const td_element *b,
                              td_element *out) {
  const td_mul *p = params;
  for (int32_t i = 0; i < p->operands.row; ++i) {
    const int32_t product =
        (a[i * p->operands.step0] - p->zero0) * (b[i * p->operands.step1] - p->zero1);
    const int32_t scaled = td_requantize(product, p->multiplier, p->shift);
    out[i] = td_offset_and_clamp(scaled, p->zero_point, p->low, p->high);
  }
}

#endif
