/* Leaves less than the least stack of a board with 8 KiB of RAM. */
#include "td_board.h"

static volatile uint8_t hog[7 * 1024 + 512];

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  td_board_exit(1);
}

int main(void) {
  td_board_init();
  for (uint32_t i = 0; i < sizeof hog; ++i) hog[i] = 1;
  return 0;
}
