/* The same program as a person writes it for TensorFlow Lite for Microcontrollers, without glue. */
#include "model_data.h"
#include "model_resolver.h"
#include "td_board.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[112 * 1024];

void print(const char *text) {
  while (*text != '\0') td_board_putc(static_cast<uint8_t>(*text++));
}

void print_number(uint32_t value) {
  if (value >= 10u) print_number(value / 10u);
  td_board_putc(static_cast<uint8_t>('0' + value % 10u));
}

}  // namespace

int main() {
  td_board_init();
  ModelResolver resolver;
  if (register_model_operators(resolver) != kTfLiteOk) return 1;
  tflite::MicroInterpreter interpreter(tflite::GetModel(td_model_data), resolver, arena,
                                       sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
  uint32_t count = 0;
  for (int run = 0; run < 2; run++) {
    const TfLiteTensor *input = interpreter.input(0);
    for (uint32_t i = 0; i < input->bytes; i++) {
      input->data.uint8[i] = static_cast<uint8_t>(i * 37u + 11u);
    }
    const uint32_t start = td_board_cycles();
    if (interpreter.Invoke() != kTfLiteOk) return 1;
    count = td_board_cycles() - start;
  }
  print("count ");
  print_number(count);
  print(" output ");
  print_number(interpreter.output(0)->data.uint8[0]);
  print("\n");
  for (;;) {
  }
}

extern "C" void td_fault_handler(const td_fault *) {
  for (;;) {
  }
}
