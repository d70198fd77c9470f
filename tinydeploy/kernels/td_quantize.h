/* QUANTIZE from float32, DEQUANTIZE to float32; the arithmetic is IEEE single precision, in
 * hardware or in software. */
#ifndef TD_QUANTIZE_H
#define TD_QUANTIZE_H

#include <stdint.h>

/* count >= 1 elements; zero_point in [-128, 127], or [0, 255] for uint8; scale > 0, finite.
 * real = scale * (stored - zero_point) */
typedef struct {
  uint32_t count;
  int32_t zero_point;
  float scale;
} td_quantize;

/* out[i] = clamp(round(in[i] / scale) + zero_point, -128, 127), halves away from zero; NaN gives
 * zero_point. in: aligned to 4; out: any alignment, may begin where in begins. scratch: unused. */
void td_f32_quantize__scalar(const td_quantize *p, const float *in, int8_t *out, void *scratch);

/* out[i] = scale * (in[i] - zero_point). in: any alignment; out: aligned to 4, may begin where in
 * begins. scratch: unused. */
void td_s8_dequantize__scalar(const td_quantize *p, const int8_t *in, float *out, void *scratch);
void td_u8_dequantize__scalar(const td_quantize *p, const uint8_t *in, float *out, void *scratch);

#endif
