/* Sums over pixels, eight channels at a time, for the `dsp` kernels.
 *
 * Sums of at most 256 int8 fit into 16 bits: a word holds those of two channels.
 */
#ifndef TD_PIXEL_SUMS_H
#define TD_PIXEL_SUMS_H

#include "td_bytes.h"

typedef struct {
  uint32_t words[4]; /* of channels 0 and 2, 1 and 3, 4 and 6, 5 and 7 */
} td_pixel_sums;

/* The sum of channel `i`, 0 to 7. */
static inline int32_t td_pixel_sum(const td_pixel_sums *sums, int32_t i) {
  const uint32_t word = sums->words[i % 2 + i / 4 * 2];
  return i / 2 % 2 == 0 ? td_low_half(word) : td_high_half(word);
}

/* Sums of eight channels over `rows` rows of `columns` pixels, 1 to 256 pixels in all. `first` is
 * the first pixel's first of these channels; `row_bytes` and `pixel_bytes` lead to the next. */
static inline td_pixel_sums td_sum_pixels(const int8_t *first, int32_t rows, int32_t columns,
                                          int32_t row_bytes, int32_t pixel_bytes) {
  uint32_t sum02 = 0, sum13 = 0, sum46 = 0, sum57 = 0;
  for (int32_t y = 0; y < rows; ++y) {
    const int8_t *pixel = first + y * row_bytes;
    for (int32_t x = columns;;) {
      const uint32_t bytes0 = td_load4(pixel);
      const uint32_t bytes4 = td_load4(pixel + 4);
      sum02 = td_sxtab16(sum02, bytes0);
      sum13 = td_sxtab16(sum13, td_rotate(bytes0, 8));
      sum46 = td_sxtab16(sum46, bytes4);
      sum57 = td_sxtab16(sum57, td_rotate(bytes4, 8));
      if (--x == 0) break;
      pixel += pixel_bytes;
    }
  }
  const td_pixel_sums sums = {{sum02, sum13, sum46, sum57}};
  return sums;
}

#endif
