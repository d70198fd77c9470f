/* Runs a batch on a board with Helium: inputs lie in memory, outputs go to the console, and after
 * each model a byte that is 0 if all is well. */
#include <string.h>

#include "batch.h"
#include "td_board.h"

enum { FILL = 0xa5, FAILED = 1, WROTE_OUTSIDE = 2 };

/* What the emulator loads there: the inputs of all models, one after the other. */
static const uint8_t *inputs = (const uint8_t *)TD_INPUTS;

/* Calls `run`; 0 if it returns TD_OK and keeps the registers that a function must keep. */
uint32_t checked(td_status (*run)(void));

#define EACH(f) f("4") f("5") f("6") f("7") f("8") f("9") f("10") f("11")
#define SET(n) "add r" n ", r3, #" n "\n\t"
#define CHECK(n)    \
  "add r1, r3, #" n \
  "\n\t"            \
  "eor r1, r1, r" n \
  "\n\t"            \
  "orr r0, r0, r1\n\t"
#define EACH_VECTOR(f)                                                                \
  f("d8", "r4", "r5") f("d9", "r6", "r7") f("d10", "r8", "r9") f("d11", "r10", "r11") \
      f("d12", "r5", "r4") f("d13", "r7", "r6") f("d14", "r9", "r8") f("d15", "r11", "r10")
#define SET_VECTOR(d, low, high) "vmov " d ", " low ", " high "\n\t"
#define CHECK_VECTOR(d, low, high) \
  "vmov r1, r2, " d                \
  "\n\t"                           \
  "eor r1, r1, " low               \
  "\n\t"                           \
  "orr r0, r0, r1\n\t"             \
  "eor r2, r2, " high              \
  "\n\t"                           \
  "orr r0, r0, r2\n\t"
__asm__(".syntax unified\n\t"
        ".thumb_func\n\t"
        ".type checked, %function\n"
        "checked:\n\t"
        "push {r3-r11, lr}\n\t"
        "vpush {d8-d15}\n\t"
        "movw r3, #0x1230\n\t"
        "movt r3, #0x5678\n\t" EACH(SET) EACH_VECTOR(SET_VECTOR)
        "blx r0\n\t"
        "movw r3, #0x1230\n\t"
        "movt r3, #0x5678\n\t" EACH(CHECK) EACH_VECTOR(CHECK_VECTOR)
        "vpop {d8-d15}\n\t"
        "pop {r3-r11, pc}\n\t");

static uint8_t outside_is_written(const batch_model *model) {
  for (uint32_t i = 0; i < model->hole_count; ++i) {
    for (uint32_t at = model->holes[i][0]; at < model->holes[i][1]; ++at) {
      if (model->arena[at] != FILL) return WROTE_OUTSIDE;
    }
  }
  return 0;
}

static uint8_t run(const batch_model *model) {
  uint8_t wrong = 0;
  for (uint32_t set = 0; set < model->sets; ++set) {
    memset(model->arena, FILL, model->arena_bytes);
    for (uint32_t i = 0; i < model->inputs; ++i) {
      const td_tensor input = model->input(i);
      memcpy(input.data, inputs, input.bytes);
      inputs += input.bytes;
    }
    if (checked(model->run) != TD_OK) wrong |= FAILED;
    wrong |= outside_is_written(model);
    for (uint32_t i = 0; i < model->outputs; ++i) {
      const td_tensor output = model->output(i);
      const uint8_t *bytes = output.data;
      for (uint32_t at = 0; at < output.bytes; ++at) td_board_putc(bytes[at]);
    }
  }
  return wrong;
}

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  for (;;) {
  }
}

int main(void) {
  td_board_init();
  for (uint32_t i = 0; i < batch_size; ++i) td_board_putc(run(&batch[i]));
  for (;;) {
  }
}
