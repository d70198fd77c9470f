/* A small main for the tests of start-up code, console and counter.
 *
 * Sends its name and what start-up made of its memory, then answers bytes: 'c' runs a loop and
 * sends the cycles it took, 'u' executes an undefined instruction, 'r'
 * returns from main, anything else comes back. */
#include "td_board.h"

#ifdef __ARM_FEATURE_MVE
#include <arm_mve.h>
#endif

#define LOOPS 500000u

static uint32_t zeroed[64];
static uint32_t initialised[3] = {0x01234567u, 0x89ABCDEFu, 0x5A5A5A5Au};
static volatile float half = 0.5f;

/* 16, in one vector where the core has vectors. */
static uint32_t sum(void) {
  static volatile int8_t ones[16];
  for (uint32_t i = 0; i < 16; ++i) ones[i] = 1;
#ifdef __ARM_FEATURE_MVE
  return (uint32_t)vaddvq_s8(vldrbq_s8((const int8_t *)ones));
#else
  uint32_t total = 0;
  for (uint32_t i = 0; i < 16; ++i) total += (uint32_t)ones[i];
  return total;
#endif
}

static void put(const char *text) {
  for (; *text != '\0'; ++text) td_board_putc((uint8_t)*text);
}

static void put_word(uint32_t value) {
  for (int shift = 28; shift >= 0; shift -= 4) {
    td_board_putc((uint8_t)"0123456789abcdef"[(value >> shift) & 15u]);
  }
  td_board_putc(' ');
}

void td_fault_handler(const td_fault *fault) {
  put("fault ");
  put_word(fault->pc);
  put_word(fault->r0);
  put_word(fault->xpsr);
  put_word(fault->cfsr);
  put("\n");
  td_board_exit(1);
}

static void loop(void) {
  for (volatile uint32_t i = 0; i < LOOPS; i = i + 1u) continue;
}

__attribute__((naked, noinline)) static void undefined_instruction(void) {
  __asm volatile(
      "movs r0, #77\n\t"
      "udf #0\n\t"
      "bx lr\n\t");
}

int main(void) {
  td_board_init();
  uint32_t any = 0;
  for (uint32_t i = 0; i < sizeof zeroed / sizeof zeroed[0]; ++i) {
    any |= ((volatile uint32_t *)zeroed)[i];
  }
  put(td_board_name);
  td_board_putc(' ');
  put_word(any);
  for (uint32_t i = 0; i < 3; ++i) put_word(((volatile uint32_t *)initialised)[i]);
  put_word((uint32_t)(half * 8.0f));
  put_word(sum());
  put("\n");
  for (;;) {
    const int byte = td_board_getc();
    if (byte < 0) continue;
    if (byte == 'r') return 3;
    if (byte == 'u') undefined_instruction();
    if (byte == 'c') {
      const uint32_t before = td_board_cycles();
      loop();
      put_word(td_board_cycles() - before);
      put_word(td_board_cycles_hz());
      put("\n");
    } else {
      td_board_putc((uint8_t)byte);
    }
  }
}
