/* Operators that map each byte on its own: LOGISTIC, TANH, RELU, RELU6, LEAKY_RELU, HARD_SWISH and
 * QUANTIZE between 8-bit types. Bytes are int8 or uint8 in memory, hence the void pointers.
 *
 * Every kernel here: in, out: `count` >= 1 bytes, any alignment; out may be in, but not overlap it
 * otherwise. scratch: unused. */
#ifndef TD_LUT_H
#define TD_LUT_H

#include <stdint.h>

/* table: 256 outputs, indexed by the input's byte read as unsigned. */
typedef struct {
  const int8_t *table;
  uint32_t count;
} td_lut;

/* out[i] = table[in[i]] */
void td_s8_lut__scalar(const td_lut *p, const void *in, void *out, void *scratch);
void td_s8_lut__mve(const td_lut *p, const void *in, void *out, void *scratch);

/* -128 <= low <= high <= 127. */
typedef struct {
  uint32_t count;
  int32_t low;
  int32_t high;
} td_limits;

/* out[i] = min(max(in[i], low), high), bytes read as int8 */
void td_s8_clamp__scalar(const td_limits *p, const void *in, void *out, void *scratch);
void td_s8_clamp__dsp(const td_limits *p, const void *in, void *out, void *scratch);
void td_s8_clamp__mve(const td_limits *p, const void *in, void *out, void *scratch);

typedef struct {
  uint32_t count;
} td_flip;

/* out[i] = in[i] ^ 0x80: from uint8 to int8, or back */
void td_s8_flip__scalar(const td_flip *p, const void *in, void *out, void *scratch);
void td_s8_flip__mve(const td_flip *p, const void *in, void *out, void *scratch);

#endif
