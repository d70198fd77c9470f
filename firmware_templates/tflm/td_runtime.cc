/* What C++ code expects of its run-time library, for code that never ends, throws or allocates.
 * With these, nothing of libstdc++ is linked, and of newlib only mathematics and some strings. */
#include <cstddef>

extern "C" {
[[noreturn]] void abort(void);
[[noreturn]] void __assert_func(const char *file, int line, const char *function,
                                const char *expression);
[[noreturn]] void __cxa_pure_virtual(void);
int *__errno(void);
int strcmp(const char *a, const char *b);

/* A fault, which the start-up code reports with the caller's address. */
void abort(void) { __builtin_trap(); }

/* Of libraries that were built with assert(): newlib's prints, for which it takes a heap. */
void __assert_func(const char *, int, const char *, const char *) { __builtin_trap(); }

void __cxa_pure_virtual(void) { __builtin_trap(); }

int *__errno(void) {
  static int value;
  return &value;
}

/* Compares names of operators while the interpreter starts: newlib's takes 700 bytes more. */
int strcmp(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}
}

/* Destructors of objects that are never destroyed refer to these. */
void operator delete(void *) noexcept { __builtin_trap(); }
void operator delete(void *, std::size_t) noexcept { __builtin_trap(); }
