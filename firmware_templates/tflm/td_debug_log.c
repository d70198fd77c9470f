/* Where TensorFlow Lite for Microcontrollers' messages go: to the host, by td_model_message(). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "td_message.h"

enum { LINE_BYTES = 240 };

/* Of TFLite Micro, called by its MicroPrintf(): defined here, its own is not linked. */
void DebugLog(const char *format, va_list arguments);
int DebugVsnprintf(char *to, size_t bytes, const char *format, va_list arguments);

typedef struct {
  char *to;
  size_t bytes, length;
} text;

/* Counts what does not fit, as snprintf() does. */
static void put(text *out, char c) {
  if (out->length + 1 < out->bytes) out->to[out->length] = c;
  out->length++;
}

static void put_string(text *out, const char *s) {
  for (s = s ? s : "(null)"; *s != '\0'; ++s) put(out, *s);
}

static void put_number(text *out, uint32_t value, uint32_t base, const char *digits) {
  char reversed[10];
  int count = 0;
  do {
    reversed[count++] = digits[value % base];
    value /= base;
  } while (value != 0);
  while (count > 0) put(out, reversed[--count]);
}

static void put_signed(text *out, int32_t value) {
  if (value < 0) put(out, '-');
  put_number(out, value < 0 ? 0u - (uint32_t)value : (uint32_t)value, 10u, "0123456789");
}

/* The next integer argument, of which 32 bits are shown: 64-bit division costs more flash. */
static uint32_t next_integer(va_list *arguments, int longs) {
  return longs > 1 ? (uint32_t)va_arg(*arguments, unsigned long long)
                   : (uint32_t)va_arg(*arguments, unsigned);
}

/* Returns whether `c` may stand between a % and the letter that says what to print. */
static int is_modifier(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == ' ' || c == '#' || c == '.' ||
         c == 'h' || c == 'l' || c == 'z';
}

static void put_formatted(text *out, const char *format, va_list *arguments) {
  for (; *format != '\0'; ++format) {
    if (*format != '%') {
      put(out, *format);
      continue;
    }
    int longs = 0;
    for (++format; is_modifier(*format); ++format) longs += *format == 'l';
    switch (*format) {
      case 's':
        put_string(out, va_arg(*arguments, const char *));
        break;
      case 'c':
        put(out, (char)va_arg(*arguments, int));
        break;
      case 'd':
      case 'i':
        put_signed(out, (int32_t)next_integer(arguments, longs));
        break;
      case 'u':
        put_number(out, next_integer(arguments, longs), 10u, "0123456789");
        break;
      case 'x':
      case 'X':
        put_number(out, next_integer(arguments, longs), 16u, "0123456789abcdef");
        break;
      case 'p':
        put_string(out, "0x");
        put_number(out, (uint32_t)(uintptr_t)va_arg(*arguments, void *), 16u, "0123456789abcdef");
        break;
      case 'e':
      case 'f':
      case 'g':
        (void)va_arg(*arguments, double);
        put(out, '?');
        break;
      case '\0':
        return;
      default:
        put(out, *format);
    }
  }
}

int DebugVsnprintf(char *to, size_t bytes, const char *format, va_list arguments) {
  text out = {to, bytes, 0};
  va_list rest;
  va_copy(rest, arguments);
  put_formatted(&out, format, &rest);
  va_end(rest);
  if (bytes > 0) to[out.length < bytes ? out.length : bytes - 1] = '\0';
  return (int)out.length;
}

void DebugLog(const char *format, va_list arguments) {
  char line[LINE_BYTES];
  (void)DebugVsnprintf(line, sizeof line, format, arguments);
  td_message_add(line);
}

void td_message_print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  DebugLog(format, arguments);
  va_end(arguments);
}
