/* The firmware that MLPerf Tiny's runner talks to, in performance and accuracy mode; in energy mode
 * through its interface board.
 *
 * Commands are words that end in '%'; each is answered by lines that end in "m-ready". The runner
 * loads an input as hexadecimal bytes, has it run many times between two time stamps, and reads the
 * results of the last run. The commands and lines are those of the benchmark's API (mlcommons/tiny,
 * benchmark/runner and benchmark/api).
 *
 * A run destroys the model's input: it is copied from `input` before every run, inside the measured
 * time. */
#include <string.h>

#include "td_board.h"
#include "td_mlperf.h"
#include "td_model.h"

enum { COMMAND_BYTES = 96, WORDS = 3, TERMINATOR = '%', MOST_RUNS = 1000000 };

static char command[COMMAND_BYTES];

/* What came, and how much of it; `expected` is what was announced. */
static uint8_t loaded[TD_MLPERF_LOADED_BYTES] __attribute__((aligned(4)));
static uint32_t loaded_bytes, expected_bytes;

#if TD_MLPERF_FLOAT
static int8_t input[TD_MLPERF_ELEMENTS]; /* quantised */
#else
#define input loaded
#endif

/* --- time: the counter is extended here, so it must be looked at before it wraps. */

static uint64_t cycles_passed;
static uint32_t cycles_seen;

static void look_at_clock(void) {
  const uint32_t now = td_board_cycles();
  cycles_passed += now - cycles_seen;
  cycles_seen = now;
}

#if !TD_MLPERF_ENERGY
static uint32_t microseconds(void) {
  const uint32_t hz = td_board_cycles_hz();
  look_at_clock();
  const uint64_t seconds = cycles_passed / hz;
  const uint64_t rest = cycles_passed - seconds * hz;
  return (uint32_t)(seconds * 1000000u + rest * 1000000u / hz);
}
#endif

#if TD_MLPERF_ENERGY
/* --- the pin whose falling edges the interface board sees */

static void write_register(uint32_t address, uint32_t value) {
  *(volatile uint32_t *)address = value;
}

/* Low for two microseconds at least. */
static void mark(void) {
  const uint32_t cycles = 2u * (td_board_cycles_hz() / 1000000u + 1u);
  const uint32_t start = td_board_cycles();
  write_register(TD_MLPERF_MARKER_LOW);
  while (td_board_cycles() - start < cycles) continue;
  write_register(TD_MLPERF_MARKER_HIGH);
}

static void prepare_marker(void) {
  static const struct {
    uint32_t address, clear, set;
  } steps[] = TD_MLPERF_MARKER_SETUP;
  write_register(TD_MLPERF_MARKER_HIGH);
  for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    const uint32_t now = *(volatile uint32_t *)steps[i].address;
    write_register(steps[i].address, (now & ~steps[i].clear) | steps[i].set);
  }
  write_register(TD_MLPERF_MARKER_HIGH); /* where its clock was off before */
}
#endif

/* --- lines */

static void put(const char *text) {
  for (; *text != '\0'; text++) td_board_putc((uint8_t)*text);
}

static void put_number(uint32_t value, int least_digits) {
  char digits[11];
  int at = 10;
  digits[at] = '\0';
  do {
    digits[--at] = (char)('0' + value % 10u);
    value /= 10u;
  } while (value != 0u || 10 - at < least_digits);
  put(&digits[at]);
}

/* Rounded to six decimals; a number that is larger than four thousand millions is cut there. */
static void put_real(float value) {
  if (value < 0.0f) {
    put("-");
    value = -value;
  }
  value += 0.5e-6f;
  if (!(value < 4.0e9f)) value = 4.0e9f;
  const uint32_t whole = (uint32_t)value;
  put_number(whole, 1);
  put(".");
  put_number((uint32_t)((value - (float)whole) * 1.0e6f), 6);
}

static void put_line(const char *text) {
  put(text);
  put("\r\n");
}

static void put_counted(const char *text, uint32_t value) {
  put(text);
  put_number(value, 1);
  put("\r\n");
}

static void put_bracketed(const char *text, const char *content) {
  put(text);
  put("[");
  put(content);
  put_line("]");
}

/* --- words */

/* Cuts `command` into words; those that are not there are "". */
static void split(const char *words[WORDS]) {
  char *at = command;
  for (int i = 0; i < WORDS; i++) {
    while (*at == ' ') at++;
    words[i] = at;
    while (*at != ' ' && *at != '\0') at++;
    if (*at != '\0') *at++ = '\0';
  }
}

static int is_same(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

/* A decimal number up to `most`; -1 for anything else. */
static int32_t number_in(const char *word, int32_t most) {
  int32_t value = 0;
  if (*word == '\0') return -1;
  for (; *word != '\0'; word++) {
    if (*word < '0' || *word > '9') return -1;
    value = value * 10 + (*word - '0');
    if (value > most) return -1;
  }
  return value;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* --- the commands */

static void load(const char *word) {
  const int32_t bytes = number_in(word, TD_MLPERF_LOADED_BYTES);
  if (bytes <= 0) {
    put_counted("e-[Command 'db load' takes a number of bytes, at most] ", TD_MLPERF_LOADED_BYTES);
    return;
  }
  expected_bytes = (uint32_t)bytes;
  loaded_bytes = 0;
  put("m-[Expecting ");
  put_number(expected_bytes, 1);
  put_line(" bytes]");
}

/* Two digits a byte; what is more than was announced is passed over. */
static void add(const char *digits) {
  while (*digits != '\0' && loaded_bytes < expected_bytes) {
    const int high = hex_digit(digits[0]);
    const int low = high < 0 ? -1 : hex_digit(digits[1]);
    if (low < 0) {
      put_bracketed("e-", "Command 'db' takes hexadecimal digits, two a byte");
      return;
    }
    loaded[loaded_bytes++] = (uint8_t)(high << 4 | low) ^ TD_MLPERF_FLIP;
    digits += 2;
    if (loaded_bytes == expected_bytes) put_line("m-load-done");
  }
}

static void print(void) {
  static const char digits[] = "0123456789abcdef";
  for (uint32_t i = 0; i < loaded_bytes; i++) {
    const uint8_t byte = loaded[i] ^ TD_MLPERF_FLIP;
    put(i % 8u == 0u ? "m-buffer-" : "-");
    td_board_putc((uint8_t)digits[byte >> 4]);
    td_board_putc((uint8_t)digits[byte & 15]);
    if (i % 8u == 7u || i + 1u == loaded_bytes) put("\r\n");
  }
}

#if TD_MLPERF_FLOAT
static float given(uint32_t i) {
  float value;
  memcpy(&value, &loaded[4u * i], sizeof value);
  return value;
}

/* As TFLite's QUANTIZE: rounded half away from zero, clipped. */
static void quantize(void) {
  for (uint32_t i = 0; i < TD_MLPERF_ELEMENTS; i++) {
    const float steps = given(i) / TD_MLPERF_INPUT_SCALE;
    int32_t value = TD_MLPERF_INPUT_ZERO;
    if (steps >= 255.0f) {
      value = 127;
    } else if (steps > -255.0f) {
      value += (int32_t)(steps + (steps < 0.0f ? -0.5f : 0.5f));
    } else {
      value = -128; /* also what is no number */
    }
    input[i] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
  }
}
#endif

/* One run from a fresh copy of the input. */
static int run(void) {
  const td_tensor to = td_model_input(0);
  memcpy(to.data, input, to.bytes);
  const td_status status = td_model_run();
  look_at_clock();
  return status == TD_OK;
}

static float output(uint32_t i) {
  const int8_t *const values = (const int8_t *)td_model_output(0).data;
  return TD_MLPERF_OUTPUT_SCALE * (float)(values[i] - TD_MLPERF_OUTPUT_ZERO);
}

static void results(void) {
  put("m-results-[");
#if TD_MLPERF_FLOAT
  /* How far the model is from giving back its input: the mean squared difference. */
  float sum = 0.0f;
  for (uint32_t i = 0; i < TD_MLPERF_ELEMENTS; i++) {
    const float difference = output(i) - given(i);
    sum += difference * difference;
  }
  put_real(sum / (float)TD_MLPERF_ELEMENTS);
#else
  for (uint32_t i = 0; i < td_model_output(0).bytes; i++) {
    if (i != 0u) put(",");
    put_real(output(i));
  }
#endif
  put_line("]");
}

#if TD_MLPERF_ENERGY
static void stamp(void) { mark(); }
#else
static void stamp(void) { put_counted("m-lap-us-", microseconds()); }
#endif

static void infer(const char *times, const char *warm_up_times) {
  const int32_t runs = *times == '\0' ? 1 : number_in(times, MOST_RUNS);
  const int32_t warm_ups = *warm_up_times == '\0' ? 10 : number_in(warm_up_times, MOST_RUNS);
  int ok = 1;
  if (runs <= 0 || warm_ups < 0) {
    put_bracketed("e-", "Command 'infer' takes a number of runs and one of warm-ups");
    return;
  }
  if (loaded_bytes != TD_MLPERF_LOADED_BYTES) {
    put("e-[The input has ");
    put_number(loaded_bytes, 1);
    put(" bytes, expected ");
    put_number(TD_MLPERF_LOADED_BYTES, 1);
    put_line("]");
    return;
  }
#if TD_MLPERF_FLOAT
  quantize();
#endif
  put_counted("m-warmup-start-", (uint32_t)warm_ups);
  for (int32_t i = 0; i < warm_ups; i++) ok &= run();
  put_line("m-warmup-done");
  put_counted("m-infer-start-", (uint32_t)runs);
  stamp();
  for (int32_t i = 0; i < runs; i++) ok &= run();
  stamp();
  put_line("m-infer-done");
  if (ok) {
    results();
  } else {
    put_bracketed("e-", td_model_message());
  }
}

static void help(void) {
  put_line(TD_MLPERF_PROFILE);
  put_line("");
  put_line("help         : this");
  put_line("name         : the device's name");
  put_line("profile      : the benchmark and the model");
  put_line("timestamp    : microseconds since the start");
  put_line("db load N    : N bytes of input will come");
  put_line("db HH..      : bytes of input, hexadecimal");
  put_line("db print     : the input, as it came");
  put_line("infer N [W]  : N runs, timed, after W (10) that are not");
  put_line("results      : the last run's results");
}

static void obey(void) {
  const char *words[WORDS];
  split(words);
  if (is_same(words[0], "name")) {
    put_bracketed("m-name-dut-", td_board_name);
  } else if (is_same(words[0], "profile")) {
    put_bracketed("m-profile-", TD_MLPERF_PROFILE);
    put_bracketed("m-model-", TD_MLPERF_MODEL);
  } else if (is_same(words[0], "timestamp")) {
    stamp();
  } else if (is_same(words[0], "db") && is_same(words[1], "load")) {
    load(words[2]);
  } else if (is_same(words[0], "db") && is_same(words[1], "print")) {
    print();
  } else if (is_same(words[0], "db")) {
    add(words[1]);
  } else if (is_same(words[0], "infer")) {
    infer(words[1], words[2]);
  } else if (is_same(words[0], "results")) {
    results();
  } else if (is_same(words[0], "help")) {
    help();
  } else if (*words[0] != '\0') { /* a '%' alone empties the line */
    put_bracketed("e-", "Unknown command");
  }
}

/* Waits for a command. Returns 0 for one that is longer than any. */
static int receive(void) {
  uint32_t length = 0;
  for (;;) {
    const int c = td_board_getc();
    look_at_clock();
    if (c == TERMINATOR) {
      command[length < COMMAND_BYTES ? length : 0u] = '\0';
      return length < COMMAND_BYTES;
    }
    if (c >= ' ') {
      if (length < COMMAND_BYTES) command[length] = (char)c;
      if (length <= COMMAND_BYTES) length++;
    }
  }
}

int main(void) {
  td_board_init();
  if (td_model_init() != TD_OK) put_bracketed("e-", td_model_message());
#if TD_MLPERF_ENERGY
  prepare_marker();
  put_line("m-timestamp-mode-energy");
  mark();
#endif
  put_line("m-init-done");
  put_line("m-ready");
  for (;;) {
    if (receive()) {
      obey();
    } else {
      put_bracketed("e-", "Command too long");
    }
    put_line("m-ready");
  }
}

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  put_bracketed("e-", "Fault");
  td_board_exit(1);
}
