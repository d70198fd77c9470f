/* What a board offers to firmware. */
#ifndef TD_BOARD_H
#define TD_BOARD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The board's name, as tinydeploy knows it. */
extern const char td_board_name[];

/* Clocks, counter and console. Called once, before anything else here. */
void td_board_init(void);

/* The next byte from the console, or -1 when none has arrived. Never waits. */
int td_board_getc(void);

/* Sends a byte to the console; waits until the transmitter takes it. */
void td_board_putc(uint8_t byte);

/* Processor cycles since td_board_init(), modulo 2^32; an emulator counts instructions instead.
 * Extended in software where the hardware counter is narrower. */
uint32_t td_board_cycles(void);

/* The rate of td_board_cycles(), in Hz. */
uint32_t td_board_cycles_hz(void);

/* Ends the program: never returns. */
__attribute__((noreturn)) void td_board_exit(int code);

/* A fault ended the program: the processor's own exception frame, in the order the core stacks it
 * (r0-r3, r12, lr, pc, xpsr), then CFSR, HFSR, MMFAR, BFAR (0 where the core has none). Defined by
 * the firmware, called by the start-up code from the HardFault handler. */
typedef struct {
  uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
  uint32_t cfsr, hfsr, mmfar, bfar;
} td_fault;
__attribute__((noreturn)) void td_fault_handler(const td_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
