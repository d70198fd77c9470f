/* What firmware and kernels have of <string.h>: the functions of libc.c. A bare-metal compiler
 * need not come with a C library. */
#ifndef TD_STRING_H
#define TD_STRING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Copies `bytes` bytes; the ranges must not overlap. Returns `to`. */
void *memcpy(void *to, const void *from, size_t bytes);

/* Copies `bytes` bytes; the ranges may overlap. Returns `to`. */
void *memmove(void *to, const void *from, size_t bytes);

/* Sets `bytes` bytes to the low 8 bits of `value`. Returns `to`. */
void *memset(void *to, int value, size_t bytes);

/* 0 when equal, else the sign of the first difference, as unsigned bytes. */
int memcmp(const void *a, const void *b, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
