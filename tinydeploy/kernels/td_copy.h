/* Short rows of bytes, without a call: `to` and `from` at any address, and apart. Both functions
 * return what lies behind the bytes written. */
#ifndef TD_COPY_H
#define TD_COPY_H

#include <stdint.h>

#if defined(__ARM_FEATURE_MVE)

static inline int8_t *td_fill(int8_t *to, int32_t value, int32_t count) {
  int8_t *next = to;
  __asm__ volatile(
      "vdup.8 q0, %[value]\n\t"
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vstrb.8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [to] "+r"(next)
      : [value] "r"(value), [count] "r"(count)
      : "lr", "q0", "memory");
  return to + count;
}

static inline int8_t *td_copy(int8_t *to, const int8_t *from, int32_t count) {
  int8_t *next = to;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f\n"
      "1:\n\t"
      "vldrb.8 q0, [%[from]], #16\n\t"
      "vstrb.8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n"
      "2:\n\t"
      : [to] "+r"(next), [from] "+r"(from)
      : [count] "r"(count)
      : "lr", "q0", "memory");
  return to + count;
}

#else

static inline int8_t *td_fill(int8_t *to, int32_t value, int32_t count) {
  while (count-- > 0) *to++ = (int8_t)value;
  return to;
}

static inline int8_t *td_copy(int8_t *to, const int8_t *from, int32_t count) {
#if defined(__ARM_FEATURE_UNALIGNED)
  for (; count >= 4; count -= 4, from += 4, to += 4) {
    uint32_t word;
    __builtin_memcpy(&word, from, 4);
    __builtin_memcpy(to, &word, 4);
  }
#endif
  while (count-- > 0) *to++ = *from++;
  return to;
}

#endif

#endif
