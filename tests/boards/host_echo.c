/* A small main for the "host" board: sends its name, then answers bytes; 'c' sends the ticks since
 * the start and their rate. */
#include "td_board.h"

static void put_word(uint32_t value) {
  for (int shift = 28; shift >= 0; shift -= 4) {
    td_board_putc((uint8_t)"0123456789abcdef"[(value >> shift) & 15u]);
  }
  td_board_putc(' ');
}

int main(void) {
  td_board_init();
  for (const char *text = td_board_name; *text != '\0'; ++text) td_board_putc((uint8_t)*text);
  td_board_putc('\n');
  for (;;) {
    const int byte = td_board_getc();
    if (byte < 0) continue;
    if (byte != 'c') {
      td_board_putc((uint8_t)byte);
      continue;
    }
    put_word(td_board_cycles());
    put_word(td_board_cycles_hz());
    td_board_putc('\n');
  }
}
