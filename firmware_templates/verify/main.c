/* The verify firmware: answers the host's requests about the model that it is linked with.
 *
 * A request is carried out at most once, because running the model destroys its inputs: one that
 * repeats the last sequence number gets the last answer again, an older one gets none. */
#include <string.h>

#include "td_board.h"
#include "td_model.h"
#include "wire.h"

enum { MESSAGE_BYTES = 1024 }; /* of a longer one, the beginning */

/* In one object, so that one register reaches all of it; the frame is last because it is long. */
static struct {
  uint8_t init_status;
  /* The result of the last RUN or STEP, for when its reply is asked for again. All other requests
   * give the same result when they are carried out again. */
  uint8_t run_status;
  uint16_t session; /* 0 until the host has said hello: a restart is thereby noticed */
  uint32_t sequence;
  uint32_t init_ticks, run_ticks;
  /* How many layers have run since an input was written: their results are there, and what they
   * ran on is known to be right. */
  uint32_t layers_run;
  td_frame frame; /* the request, then the reply in its place */
} state;

static uint32_t length_of(const char *text, uint32_t most) {
  uint32_t length = 0;
  while (length < most && text[length] != '\0') {
    length++;
  }
  return length;
}

static uint32_t hello(void) {
  const uint32_t name_bytes = length_of(td_board_name, 64u);
  uint32_t *to = state.frame.data;
  *to++ = TD_WIRE_PROTOCOL;
  *to++ = TD_WIRE_DATA_BYTES;
  *to++ = td_board_cycles_hz();
  *to++ = state.init_ticks;
  *to++ = td_model_input_count;
  *to++ = td_model_output_count;
  *to++ = td_model_layer_count;
  memcpy(to, td_model_sha256, 32u);
  memcpy(to + 8, td_board_name, name_bytes);
  state.frame.status = state.init_status;
  return 60u + name_bytes;
}

/* Returns 0 when there is no such tensor. `number` is the layer's number in the .tflite file. */
static int find(uint32_t kind, uint32_t index, td_tensor *tensor, uint32_t *number) {
  *number = index;
  if (kind == TD_KIND_INPUT && index < td_model_input_count) {
    *tensor = td_model_input(index);
  } else if (kind == TD_KIND_OUTPUT && index < td_model_output_count) {
    *tensor = td_model_output(index);
  } else if (kind == TD_KIND_LAYER && index < td_model_layer_count) {
    const td_layer layer = td_model_layer(index);
    *tensor = layer.output;
    *number = layer.index;
  } else if (kind == TD_KIND_MESSAGE && index == 0u) {
    const char *const message = td_model_message();
    tensor->data = (void *)(uintptr_t)message; /* is only read */
    tensor->bytes = length_of(message, MESSAGE_BYTES);
  } else {
    return 0;
  }
  return 1;
}

/* Whether the inputs are, byte for byte, what the host has loaded. */
static int inputs_have_crc(uint32_t expected) {
  uint32_t crc = 0;
  for (uint32_t i = 0; i < td_model_input_count; i++) {
    const td_tensor input = td_model_input(i);
    crc = td_wire_crc(crc, input.data, input.bytes);
  }
  return crc == expected;
}

static void run_once(int step) {
  const uint32_t index = step ? state.frame.data[1] : 0u;
  state.run_ticks = 0;
  state.run_status = TD_STATUS_NOT_READY;
  if (index != 0u ? index != state.layers_run : !inputs_have_crc(state.frame.data[0])) {
    return;
  }
  const uint32_t start = td_board_cycles();
  const td_status status = step ? td_model_run_layer(index) : td_model_run();
  state.run_ticks = td_board_cycles() - start;
  state.run_status = status == TD_OK ? TD_STATUS_OK : TD_STATUS_FAILED;
  state.layers_run = step ? index + 1u : td_model_layer_count;
}

static uint32_t run(int again, int step) {
  if (!again) {
    run_once(step);
  }
  state.frame.data[0] = state.run_ticks;
  state.frame.status = state.run_status;
  return 4u;
}

/* Carries the request in `state.frame` out and puts the reply's status and data in its place.
 * Returns the reply's data bytes. */
static uint32_t answer(uint32_t data_bytes, int again) {
  const uint32_t *in = state.frame.data;
  td_tensor tensor;
  uint32_t number;
  state.frame.status = TD_STATUS_OK;
  if (state.frame.type == TD_HELLO && data_bytes == 0u) {
    return hello();
  }
  if (state.frame.type == TD_RUN && data_bytes == 4u) {
    return run(again, 0);
  }
  if (state.frame.type == TD_STEP && data_bytes == 8u && in[1] < td_model_layer_count) {
    return run(again, 1);
  }
  if (state.frame.type == TD_TENSOR && data_bytes == 8u && find(in[0], in[1], &tensor, &number)) {
    state.frame.data[0] = tensor.bytes;
    state.frame.data[1] = number;
    return 8u;
  }
  if (state.frame.type == TD_LOAD && data_bytes >= 8u &&
      find(TD_KIND_INPUT, in[0], &tensor, &number)) {
    const uint32_t offset = in[1];
    const uint32_t bytes = data_bytes - 8u;
    if (offset <= tensor.bytes && bytes <= tensor.bytes - offset) {
      state.layers_run = 0;
      memcpy((uint8_t *)tensor.data + offset, &in[2], bytes);
      return 0u;
    }
  }
  if (state.frame.type == TD_READ && data_bytes == 16u && find(in[0], in[1], &tensor, &number)) {
    const uint32_t offset = in[2];
    const uint32_t bytes = in[3];
    const uint32_t needed = in[0] == TD_KIND_LAYER    ? in[1] + 1u
                            : in[0] == TD_KIND_OUTPUT ? td_model_layer_count
                                                      : state.layers_run;
    if (in[0] != TD_KIND_MESSAGE && state.layers_run != needed) {
      state.frame.status = TD_STATUS_NOT_READY;
      return 0u;
    }
    if (bytes <= TD_WIRE_DATA_BYTES && offset <= tensor.bytes && bytes <= tensor.bytes - offset) {
      memcpy(state.frame.data, (const uint8_t *)tensor.data + offset, bytes);
      return bytes;
    }
  }
  state.frame.status = TD_STATUS_REFUSED;
  return 0u;
}

int main(void) {
  td_board_init();
  state.init_ticks = td_board_cycles();
  state.init_status = td_model_init() == TD_OK ? TD_STATUS_OK : TD_STATUS_FAILED;
  state.init_ticks = td_board_cycles() - state.init_ticks;
  for (;;) {
    uint32_t data_bytes = td_wire_receive(&state.frame);
    if (state.frame.type == TD_HELLO && state.frame.session != state.session) {
      state.session = state.frame.session;
      state.sequence = state.frame.sequence - 1u;
    }
    if (state.session == 0u || state.frame.session != state.session) {
      state.frame.status = TD_STATUS_NO_SESSION;
      data_bytes = 0u;
    } else if (state.frame.sequence < state.sequence) {
      continue; /* a copy of an old request that was long on its way */
    } else {
      const int again = state.frame.sequence == state.sequence;
      state.sequence = state.frame.sequence;
      data_bytes = answer(data_bytes, again);
    }
    state.frame.type |= TD_REPLY;
    td_wire_send(&state.frame, data_bytes);
  }
}

/* Says so unasked, and then to every request until the board is reset. */
void td_fault_handler(const td_fault *fault) {
  for (;;) {
    state.frame.type = TD_FAULT | TD_REPLY;
    state.frame.status = TD_STATUS_FAILED;
    memcpy(state.frame.data, fault, sizeof *fault);
    td_wire_send(&state.frame, sizeof *fault);
    (void)td_wire_receive(&state.frame);
  }
}
