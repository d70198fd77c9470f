/* A model for tests of the wire: its inputs, layers and outputs share one arena, so that every
 * run destroys its inputs, and the first byte of input 0 makes it misbehave on request.
 *
 *     y0[i] = 3 * x0[i] + x1[i % sizeof x1] + 1      (mod 256), in two layers
 *     y1    = the sum of y0, 4 bytes
 */
#include "td_board.h"
#include "td_model.h"

enum { X0_BYTES = 6000, X1_BYTES = 7 };
enum {
  UNDEFINED = 0xe1,
  NULL_CALL,
  UNMAPPED_READ,
  HANG,
  FAIL,
  EXIT,
  FLASH_WRITE,
  UNALIGNED,
  RECURSE
};

static uint32_t arena[(X0_BYTES + 8) / 4 + 2];

#define X0 ((uint8_t *)arena)
#define X1 (X0 + X0_BYTES)
#define Y1 (X1 + 8)

const uint8_t td_model_sha256[32] = {0x12, 0x34, 0x56, 0x78, 0xff};
const uint32_t td_model_input_count = 2;
const uint32_t td_model_output_count = 2;
const uint32_t td_model_layer_count = 2;

td_status td_model_init(void) { return TD_OK; }

const char *td_model_message(void) { return "model.c says why"; }

td_tensor td_model_input(uint32_t i) {
  return i == 0 ? (td_tensor){X0, X0_BYTES} : (td_tensor){X1, X1_BYTES};
}

td_tensor td_model_output(uint32_t i) {
  return i == 0 ? (td_tensor){X0, X0_BYTES} : (td_tensor){Y1, 4};
}

td_layer td_model_layer(uint32_t i) {
  return i == 0 ? (td_layer){10, {X0, X0_BYTES}} : (td_layer){12, {Y1, 4}};
}

void misbehave_undefined(void);
void misbehave_null_call(void);
uint32_t misbehave_unmapped_read(void);
void misbehave_hang(void);
void misbehave_flash_write(void);
uint32_t misbehave_unaligned(void);

/* Calls through these are not folded away. */
static void (*volatile null_function)(void) = 0;
static const uint32_t *volatile nowhere = (const uint32_t *)(uintptr_t)0xdead0000u;
static volatile uint32_t *volatile in_flash =
    (volatile uint32_t *)(uintptr_t)&td_model_output_count;
static const uint32_t *volatile odd = (const uint32_t *)(uintptr_t)(X0 + 1);

void misbehave_undefined(void) { __builtin_trap(); }
void misbehave_null_call(void) { null_function(); }
uint32_t misbehave_unmapped_read(void) { return *(const volatile uint32_t *)nowhere; }
void misbehave_flash_write(void) { *in_flash = 1; }
uint32_t misbehave_unaligned(void) { return *(const volatile uint32_t *)odd; }
void misbehave_hang(void) {
  for (;;) {
    (void)td_board_cycles();
  }
}

/* Calls itself until there is no more stack. */
uint32_t misbehave_recurse(volatile uint32_t *above);
uint32_t misbehave_recurse(volatile uint32_t *above) {
  volatile uint32_t here[8] = {*above + 1u};
  return here[0] == 0u ? 0u : misbehave_recurse(here) + here[0];
}

static td_status first(void) {
  switch (X0[0]) {
    case UNDEFINED:
      misbehave_undefined();
      break;
    case NULL_CALL:
      misbehave_null_call();
      break;
    case UNMAPPED_READ:
      return misbehave_unmapped_read() ? TD_OK : TD_ERROR;
    case HANG:
      misbehave_hang();
      break;
    case FAIL:
      return TD_ERROR;
    case EXIT:
      td_board_exit(3);
    case FLASH_WRITE:
      misbehave_flash_write();
      break;
    case UNALIGNED:
      return misbehave_unaligned() ? TD_OK : TD_ERROR;
    case RECURSE: {
      volatile uint32_t zero = 0;
      return misbehave_recurse(&zero) ? TD_OK : TD_ERROR;
    }
    default:
      break;
  }
  for (uint32_t i = 0; i < X0_BYTES; i++) {
    X0[i] = (uint8_t)(3u * X0[i] + X1[i % X1_BYTES] + 1u);
  }
  return TD_OK;
}

static td_status second(void) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < X0_BYTES; i++) {
    sum += X0[i];
  }
  for (uint32_t i = 0; i < 4; i++) {
    Y1[i] = (uint8_t)(sum >> (8 * i));
  }
  return TD_OK;
}

td_status td_model_run_layer(uint32_t i) { return i == 0 ? first() : second(); }

td_status td_model_run(void) {
  const td_status status = first();
  return status == TD_OK ? second() : status;
}
