/* What a model offers to firmware. One firmware serves every engine: this header does not change
 * between them.
 *
 * Usage:
 *     if (td_model_init() != TD_OK) ...;
 *     memcpy(td_model_input(0).data, samples, td_model_input(0).bytes);
 *     if (td_model_run() != TD_OK) ...;
 *     ... td_model_output(0).data ...
 *
 * Inputs and outputs live in the model's arena and may share memory with each other and with
 * everything in between: write all inputs before each run, and read the outputs before the next.
 */
#ifndef TD_MODEL_H
#define TD_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { TD_OK = 0, TD_ERROR = 1 } td_status;

/* A tensor's memory: elements row-major, in the model's own dtype, little-endian. `data` is
 * aligned for its dtype. */
typedef struct {
  void *data;
  uint32_t bytes;
} td_tensor;

/* One step of a run. `index` is the operator's number in the .tflite file. `output` is valid from
 * the end of this step until the next one begins. */
typedef struct {
  uint32_t index;
  td_tensor output;
} td_layer;

/* SHA-256 of the .tflite file. */
extern const uint8_t td_model_sha256[32];

extern const uint32_t td_model_input_count;
extern const uint32_t td_model_output_count;
extern const uint32_t td_model_layer_count;

/* Once, before anything else. */
td_status td_model_init(void);

/* `i` < td_model_input_count, td_model_output_count, td_model_layer_count. */
td_tensor td_model_input(uint32_t i);
td_tensor td_model_output(uint32_t i);
td_layer td_model_layer(uint32_t i);

/* Runs every layer. */
td_status td_model_run(void);

/* What the model's engine says is wrong, in words: ASCII, "" for nothing. May be called at any
 * time, after td_model_init() failed too. */
const char *td_model_message(void);

/* Runs step `i` alone; calling it for i = 0, 1, ... in order equals td_model_run(). */
td_status td_model_run_layer(uint32_t i);

#ifdef __cplusplus
}
#endif

#endif
