/* QUANTIZE from float32, DEQUANTIZE to float32; the arithmetic is IEEE single precision, in
 * hardware or in software. */
#ifndef TD_QUANTIZE_H
#define TD_QUANTIZE_H

#include <stdint.h>

#include "td_element.h"

/* count >= 1 elements; zero_point within the stored type; scale > 0, finite.
 * real = scale * (stored - zero_point) */
typedef struct {
  uint32_t count;
  int32_t zero_point;
  float scale;
} td_quantize;

/* out[i] = clamp(round(in[i] / scale) + zero_point) to the limits of the type, halves away from
 * zero; NaN gives zero_point. in: aligned to 4; out: any alignment, may begin where in begins.
 * scratch: unused. */
void td_f32_quantize__scalar(const td_quantize *p, const float *in, int8_t *out, void *scratch);
void td_f32_s16_quantize__scalar(const td_quantize *p, const float *in, int16_t *out,
                                 void *scratch);

/* out[i] = scale * (in[i] - zero_point). in: any alignment; out: aligned to 4, may begin where in
 * begins. scratch: unused. */
void td_s8_dequantize__scalar(const td_quantize *p, const int8_t *in, float *out, void *scratch);
void td_s16_dequantize__scalar(const td_quantize *p, const int16_t *in, float *out, void *scratch);
void td_u8_dequantize__scalar(const td_quantize *p, const uint8_t *in, float *out, void *scratch);

/* round(x), halves away from zero, not beyond `limit`; 0 for NaN */
static inline int32_t td_round_limited(float x, int32_t limit) {
  if (x >= (float)limit) return limit;
  if (x <= -(float)limit) return -limit;
  if (x != x) return 0;
  const int32_t whole = (int32_t)x;
  const float rest = x - (float)whole; /* exact */
  if (rest >= 0.5f) return whole + 1;
  if (rest <= -0.5f) return whole - 1;
  return whole;
}

static inline void td_quantize_all(const td_quantize *p, const float *in, td_element *out) {
  const int32_t zero_point = p->zero_point;
  const float scale = p->scale;
  for (uint32_t i = 0; i < p->count; ++i) {
    const int32_t y = td_round_limited(in[i] / scale, 2 * (TD_ELEMENT_MAX + 1)) + zero_point;
    out[i] = td_clamp_element(y, TD_ELEMENT_MIN, TD_ELEMENT_MAX);
  }
}

/* From the end: in place, an element lies farther from the start as a float. */
static inline void td_dequantize_all(const td_quantize *p, const td_element *in, float *out) {
  const int32_t zero_point = p->zero_point;
  const float scale = p->scale;
  for (uint32_t i = p->count; i > 0; --i) out[i - 1] = scale * (float)(in[i - 1] - zero_point);
}

#endif
