/* The model through td_model.h: what the second run takes. */
#include "td_board.h"
#include "td_model.h"

static void print(const char *text) {
  while (*text != '\0') td_board_putc((uint8_t)*text++);
}

static void print_number(uint32_t value) {
  if (value >= 10u) print_number(value / 10u);
  td_board_putc((uint8_t)('0' + value % 10u));
}

int main(void) {
  td_board_init();
  if (td_model_init() != TD_OK) {
    print(td_model_message());
    return 1;
  }
  uint32_t count = 0;
  for (int run = 0; run < 2; run++) {
    const td_tensor input = td_model_input(0);
    for (uint32_t i = 0; i < input.bytes; i++)
      ((uint8_t *)input.data)[i] = (uint8_t)(i * 37u + 11u);
    const uint32_t start = td_board_cycles();
    if (td_model_run() != TD_OK) return 1;
    count = td_board_cycles() - start;
  }
  print("count ");
  print_number(count);
  print(" output ");
  print_number(((const uint8_t *)td_model_output(0).data)[0]);
  print("\n");
  for (;;) {
  }
}

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  for (;;) {
  }
}
