/* ADD and SUB, int8 or int16, operands that broadcast.
 *
 * Arguments of every kernel:
 *     p: low and high within the element type.
 *     inputs: the operands that are computed at run time, one or two: int8, or int16 for s16.
 *     out: of the same type. May be the memory of an operand that has all of the output's
 *         elements, and must not overlap another.
 *     scratch: not used.
 */
#ifndef TD_ADD_H
#define TD_ADD_H

#include <stdint.h>

#include "td_fixedpoint.h"
#include "td_operands.h"

/* r(x) = sign * requantize((x - zero_point) * 2^s, multiplier, shift), -31 <= shift <= 0;
 * s = 20 for int8, 15 for int16 */
typedef struct {
  int32_t zero_point;
  int32_t multiplier, shift;
  int32_t sign; /* 1 or -1 */
} td_add_operand;

/* out = clamp(requantize(first.r(a) + second.r(b), multiplier, shift) + zero_point, low, high) */
typedef struct {
  td_operands operands;
  td_add_operand first, second;
  int32_t multiplier, shift; /* -31 <= shift <= 0 */
  int32_t zero_point;
  int32_t low, high;
} td_add;

/* out = clamp((floor(a multiplier0 / 2^8) + floor(b multiplier1 / 2^8) + offset) / 2^shift, low,
 * high), the last division rounded down; no sum of these overflows. Only for operands whose
 * parameters make this the same function as td_add's. The dsp kernel needs operands.step0 = step1
 * = 1. */
typedef struct {
  td_operands operands;
  int32_t multiplier0, multiplier1;
  int32_t offset;
  int32_t shift; /* 16 to 31 */
  int32_t low, high;
} td_add_affine;

void td_s8_add__scalar(const td_add *p, const void *const *inputs, int8_t *out, void *scratch);
void td_s16_add__scalar(const td_add *p, const void *const *inputs, int16_t *out, void *scratch);
void td_s8_add_affine__scalar(const td_add_affine *p, const void *const *inputs, int8_t *out,
                              void *scratch);
void td_s8_add_affine__dsp(const td_add_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch);
/* Here out = clamp((a multiplier0 + b multiplier1 + offset) / 2^shift, low, high), likewise without
 * overflow and the same function; operands.step0 = step1 = 1. */
void td_s8_add_affine__mve(const td_add_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch);

static inline int32_t td_add_rescale(const td_add_operand *p, int32_t x) {
  const int32_t raised = (x - p->zero_point) * (1 << (sizeof(td_element) == 1 ? 20 : 15));
  return p->sign * td_requantize(raised, p->multiplier, p->shift);
}

static inline void td_add_row(const void *params, const td_element *a, const td_element *b,
                              td_element *out) {
  const td_add *p = params;
  for (int32_t i = 0; i < p->operands.row; ++i) {
    const int32_t sum = td_add_rescale(&p->first, a[i * p->operands.step0]) +
                        td_add_rescale(&p->second, b[i * p->operands.step1]);
    const int32_t scaled = td_requantize(sum, p->multiplier, p->shift);
    out[i] = td_offset_and_clamp(scaled, p->zero_point, p->low, p->high);
  }
}

#endif
