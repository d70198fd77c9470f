/* The "host" board: this machine, the console on standard input and output. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "td_board.h"

const char td_board_name[] = "host";

static uint64_t started_ns;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void td_board_init(void) { started_ns = now_ns(); }

/* Sent by the next td_board_getc(), or when it is full: a system call a byte would be slow. */
static uint8_t output[4096];
static size_t output_used;

static void flush(void) {
  size_t done = 0;
  while (done < output_used) {
    const ssize_t sent = write(STDOUT_FILENO, output + done, output_used - done);
    if (sent > 0) done += (size_t)sent;
    if (sent < 0 && errno != EINTR) _exit(1);
  }
  output_used = 0;
}

/* Sleeps a little when nothing has arrived, so that polling leaves the processor to others. Ends
 * the program with the input. */
int td_board_getc(void) {
  static uint8_t input[4096];
  static size_t used, filled;
  if (used == filled) {
    flush();
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 1) <= 0) return -1;
    const ssize_t got = read(STDIN_FILENO, input, sizeof input);
    if (got <= 0) td_board_exit(0);
    used = 0;
    filled = (size_t)got;
  }
  return input[used++];
}

void td_board_putc(uint8_t byte) {
  if (output_used == sizeof output) flush();
  output[output_used++] = byte;
}

/* Nanoseconds, as a processor of 1 GHz would count cycles. */
uint32_t td_board_cycles(void) { return (uint32_t)(now_ns() - started_ns); }

uint32_t td_board_cycles_hz(void) { return 1000000000u; }

void td_board_exit(int code) {
  flush();
  _exit(code);
}
