/* The four functions of the C library that compilers call by themselves, and kernels use for rows
 * of tensors. Words at a time where both ends allow it; Armv7-M and later read words from any
 * address, Armv6-M does not. */
#include <stdint.h>

#include "string.h"

/* A compiler must not find memcpy in memcpy's own loop and call it. */
#if defined(__clang__)
#define LEAF __attribute__((no_builtin("memcpy", "memmove", "memset", "memcmp"), used))
#else
#define LEAF __attribute__((optimize("no-tree-loop-distribute-patterns"), used))
#endif

#ifdef __ARM_FEATURE_UNALIGNED
#define ANY_ADDRESS 1
#else
#define ANY_ADDRESS 0
#endif

/* May alias anything, and lie at any address where the processor allows that. */
#if ANY_ADDRESS
typedef uint32_t __attribute__((may_alias, aligned(1))) word;
#else
typedef uint32_t __attribute__((may_alias)) word;
#endif

#ifdef __OPTIMIZE_SIZE__

LEAF void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  uint8_t *d = to;
  const uint8_t *s = from, *const end = s + bytes;
#if ANY_ADDRESS
  for (; (size_t)(end - s) >= sizeof(word); d += sizeof(word), s += sizeof(word)) {
    *(word *)d = *(const word *)s;
  }
#endif
  while (s != end) *d++ = *s++;
  return to;
}

LEAF void *memmove(void *to, const void *from, size_t bytes) {
  if ((uintptr_t)to <= (uintptr_t)from) return memcpy(to, from, bytes); /* which goes up */
  while (bytes-- != 0) ((uint8_t *)to)[bytes] = ((const uint8_t *)from)[bytes];
  return to;
}

LEAF void *memset(void *to, int value, size_t bytes) {
  for (uint8_t *d = to; bytes != 0; --bytes) *d++ = (uint8_t)value;
  return to;
}

#else

#define WORD sizeof(word)
#define BLOCK (4 * WORD)

/* A block between addresses that are multiples of a word, both moved on. In assembly because
 * neither compiler finds the two instructions with their increments. */
static inline void copy_block(uint8_t **to, const uint8_t **from) {
  __asm volatile(
      "ldmia %1!, {r3, r4, r5, r6}\n\t"
      "stmia %0!, {r3, r4, r5, r6}"
      : "+l"(*to), "+l"(*from)
      :
      : "r3", "r4", "r5", "r6", "memory");
}

/* Bytes from `address` to the next multiple of a word. */
static inline size_t to_word(const void *address) { return (0u - (uintptr_t)address) & (WORD - 1); }

static inline int is_word(const void *address) { return to_word(address) == 0; }

/* Whether both can be multiples of a word at once. */
static inline int words_match(const void *a, const void *b) {
  return (((uintptr_t)a ^ (uintptr_t)b) & (WORD - 1)) == 0;
}

/* From the first byte up; `to` may overlap `from` when it is lower. */
static inline void copy_up(uint8_t *to, const uint8_t *from, size_t bytes) {
  if (bytes >= 2 * WORD && (ANY_ADDRESS || words_match(to, from))) {
    for (size_t head = to_word(to); head != 0; --head, --bytes) *to++ = *from++;
    if (is_word(from)) {
      for (; bytes >= BLOCK; bytes -= BLOCK) copy_block(&to, &from);
    }
    for (; bytes >= WORD; bytes -= WORD, to += WORD, from += WORD) {
      *(word *)to = *(const word *)from;
    }
  }
  for (; bytes != 0; --bytes) *to++ = *from++;
}

#if ANY_ADDRESS
/* A block between any addresses. */
static inline void copy_words(uint8_t *to, const uint8_t *from) {
  const word a = ((const word *)from)[0], b = ((const word *)from)[1];
  const word c = ((const word *)from)[2], d = ((const word *)from)[3];
  ((word *)to)[0] = a;
  ((word *)to)[1] = b;
  ((word *)to)[2] = c;
  ((word *)to)[3] = d;
}

/* The ranges do not overlap. */
static inline void copy_apart(uint8_t *to, const uint8_t *from, size_t bytes) {
  if (bytes < WORD) {
    for (; bytes != 0; --bytes) *to++ = *from++;
    return;
  }
  const uint8_t *const last = from + bytes - WORD;
  uint8_t *const last_to = to + bytes - WORD;
  const uint8_t *const blocks_end = from + bytes / BLOCK * BLOCK;
  if (is_word(from) && is_word(to)) {
    while (from != blocks_end) copy_block(&to, &from);
  } else {
    for (; from != blocks_end; from += BLOCK, to += BLOCK) copy_words(to, from);
  }
  for (; from < last; from += WORD, to += WORD) *(word *)to = *(const word *)from;
  /* Up to the end, some bytes again: cheaper than byte after byte. */
  *(word *)last_to = *(const word *)last;
}
#else
#define copy_apart copy_up
#endif

LEAF void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  copy_apart(to, from, bytes);
  return to;
}

LEAF void *memmove(void *to, const void *from, size_t bytes) {
  if ((uintptr_t)to - (uintptr_t)from >= bytes) {
    if ((uintptr_t)from - (uintptr_t)to >= bytes) return memcpy(to, from, bytes);
    copy_up(to, from, bytes);
    return to;
  }
  /* `to` lies inside [from, from + bytes): from the last byte down. */
  uint8_t *d = (uint8_t *)to + bytes;
  const uint8_t *s = (const uint8_t *)from + bytes;
  if (bytes >= 2 * WORD && (ANY_ADDRESS || words_match(d, s))) {
    for (size_t tail = (uintptr_t)d & (WORD - 1); tail != 0; --tail, --bytes) *--d = *--s;
    for (; bytes >= WORD; bytes -= WORD) {
      d -= WORD;
      s -= WORD;
      *(word *)d = *(const word *)s;
    }
  }
  for (; bytes != 0; --bytes) *--d = *--s;
  return to;
}

LEAF void *memset(void *to, int value, size_t bytes) {
  uint8_t *d = to;
  const uint8_t byte = (uint8_t)value;
  if (bytes >= 2 * WORD) {
    const word pattern = byte * 0x01010101u;
    for (size_t head = to_word(d); head != 0; --head, --bytes) *d++ = byte;
    for (; bytes >= BLOCK; bytes -= BLOCK, d += BLOCK) {
      ((word *)d)[0] = pattern;
      ((word *)d)[1] = pattern;
      ((word *)d)[2] = pattern;
      ((word *)d)[3] = pattern;
    }
    for (; bytes >= WORD; bytes -= WORD, d += WORD) *(word *)d = pattern;
  }
  for (; bytes != 0; --bytes) *d++ = byte;
  return to;
}

#endif

LEAF int memcmp(const void *a, const void *b, size_t bytes) {
  const uint8_t *x = a, *y = b;
  for (; bytes != 0; --bytes, ++x, ++y) {
    if (*x != *y) return *x < *y ? -1 : 1;
  }
  return 0;
}
