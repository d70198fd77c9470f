/* memcpy, memmove, memset and memcmp against loops over bytes: every length up to 70, every
 * alignment of both ends, every overlap. Sends "ok", or what was wrong. */
#include "string.h"
#include "td_board.h"

#define LENGTHS 70u
#define SPACE 256u

static uint32_t given_words[SPACE / 4], expected_words[SPACE / 4];
static uint8_t *const given = (uint8_t *)given_words;
static uint8_t *const expected = (uint8_t *)expected_words;

static void put(const char *text) {
  for (; *text != '\0'; ++text) td_board_putc((uint8_t)*text);
}

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  put("fault\n");
  td_board_exit(1);
}

static void fill(void) {
  for (volatile uint32_t i = 0; i < SPACE; i = i + 1u) {
    given[i] = (uint8_t)(i * 7u + 1u);
    expected[i] = (uint8_t)(i * 7u + 1u);
  }
}

static void check(const char *what) {
  for (volatile uint32_t i = 0; i < SPACE; i = i + 1u) {
    if (given[i] != expected[i]) {
      put(what);
      put(" is wrong\n");
      td_board_exit(1);
    }
  }
}

static void check_copy(uint32_t to, uint32_t from, uint32_t bytes) {
  fill();
  const int up = to <= from;
  for (volatile uint32_t k = 0; k < bytes; k = k + 1u) {
    const uint32_t i = up ? k : bytes - 1u - k;
    expected[to + i] = expected[from + i];
  }
  const int apart = to >= from + bytes || from >= to + bytes;
  void *result =
      apart ? memcpy(given + to, given + from, bytes) : memmove(given + to, given + from, bytes);
  check(apart && result == given + to ? "memcpy" : "memmove");
}

static void check_set(uint32_t to, uint32_t bytes) {
  fill();
  for (volatile uint32_t i = 0; i < bytes; i = i + 1u) expected[to + i] = 0xA7u;
  memset(given + to, 0x5A7, bytes);
  check("memset");
  const int same = memcmp(given + to, expected + to, bytes);
  if (bytes != 0) given[to + bytes - 1u] = 0xA8u;
  const int higher = memcmp(given + to, expected + to, bytes);
  if (same != 0 || (higher > 0) != (bytes != 0)) put("memcmp is wrong\n");
}

int main(void) {
  td_board_init();
  for (uint32_t bytes = 0; bytes <= LENGTHS; bytes += bytes < 40u ? 1u : 9u) {
    for (uint32_t a = 0; a < 4; ++a) {
      check_set(64u + a, bytes);
      for (uint32_t b = 0; b < 4; ++b) {
        check_copy(16u + a, 128u + b, bytes);
        check_copy(128u + a, 16u + b, bytes);
      }
    }
    for (uint32_t distance = 0; distance <= 20u; ++distance) {
      check_copy(32u + distance, 32u, bytes);
      check_copy(33u, 33u + distance, bytes);
    }
  }
  put("ok\n");
  return 0;
}
