/* Runs a batch on this machine: inputs from standard input, outputs to standard output. Memory
 * between the tensors is closed to the address sanitizer while a model runs. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <string.h>

#include "batch.h"

static int run(const batch_model *model) {
  memset(model->arena, 0xa5, model->arena_bytes);
  for (uint32_t i = 0; i < model->hole_count; ++i) {
    const uint32_t begin = model->holes[i][0];
    ASAN_POISON_MEMORY_REGION(model->arena + begin, model->holes[i][1] - begin);
  }
  for (uint32_t set = 0; set < model->sets; ++set) {
    for (uint32_t i = 0; i < model->inputs; ++i) {
      const td_tensor input = model->input(i);
      if (fread(input.data, 1, input.bytes, stdin) != input.bytes) return 1;
    }
    if (model->run() != TD_OK) return 1;
    for (uint32_t i = 0; i < model->outputs; ++i) {
      const td_tensor output = model->output(i);
      if (fwrite(output.data, 1, output.bytes, stdout) != output.bytes) return 1;
    }
  }
  ASAN_UNPOISON_MEMORY_REGION(model->arena, model->arena_bytes);
  return 0;
}

int main(void) {
  for (uint32_t i = 0; i < batch_size; ++i) {
    fprintf(stderr, "model %u\n", (unsigned)i);
    if (run(&batch[i])) return 1;
  }
  return fflush(stdout);
}
