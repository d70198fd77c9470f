/* The type of the elements that a kernel reads and writes: int8_t, unless its file defines
 * TD_ELEMENT as int16_t before it includes a header. What the kernels for both share is written
 * once, with `td_element`. */
#ifndef TD_ELEMENT_H
#define TD_ELEMENT_H

#include <stdint.h>

#ifndef TD_ELEMENT
#define TD_ELEMENT int8_t
#endif
typedef TD_ELEMENT td_element;

enum {
  TD_ELEMENT_MAX = (1 << (8 * sizeof(td_element) - 1)) - 1,
  TD_ELEMENT_MIN = -TD_ELEMENT_MAX - 1
};

/* v, not below `low` and not above `high`, both of td_element. */
static inline td_element td_clamp_element(int32_t v, int32_t low, int32_t high) {
  if (v < low) v = low;
  if (v > high) v = high;
  return (td_element)v;
}

/* v + offset (mod 2^32), clamped. */
static inline td_element td_offset_and_clamp(int32_t v, int32_t offset, int32_t low, int32_t high) {
  return td_clamp_element((int32_t)((uint32_t)v + (uint32_t)offset), low, high);
}

#endif
