/* The "host" board: this machine, the console on standard input and output. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdlib.h>
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

/* Sleeps a little when nothing has arrived, so that polling leaves the processor to others. Ends
 * the program with the input. */
int td_board_getc(void) {
  static uint8_t buffer[4096];
  static size_t used, filled;
  if (used == filled) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, 1) <= 0) return -1;
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) td_board_exit(0);
    used = 0;
    filled = (size_t)got;
  }
  return buffer[used++];
}

void td_board_putc(uint8_t byte) {
  while (write(STDOUT_FILENO, &byte, 1) == 0) continue;
}

/* Nanoseconds, as a processor of 1 GHz would count cycles. */
uint32_t td_board_cycles(void) { return (uint32_t)(now_ns() - started_ns); }

uint32_t td_board_cycles_hz(void) { return 1000000000u; }

void td_board_exit(int code) { _exit(code); }
