/* SCI of Renesas' RA, asynchronous, without its FIFO (RA4M1 Group User's Manual, chapter 28). */
#include "td_registers.h"
#include "td_uart.h"

#define AT(offset) (*(volatile uint8_t *)(TD_UART_ADDRESS + (offset)))
#define SMR AT(0x00u)
#define BRR AT(0x01u)
#define SCR AT(0x02u)
#define TDR AT(0x03u)
#define SSR AT(0x04u)
#define RDR AT(0x05u)
#define SEMR AT(0x07u)
#define MDDR AT(0x12u)

#define SCR_RE (1u << 4)
#define SCR_TE (1u << 5)
#define SEMR_BRME (1u << 2)
#define SEMR_ABCS (1u << 4)
#define SEMR_BGDM (1u << 6)
#define SSR_ERRORS (7u << 3) /* overrun, framing, parity */
#define SSR_RDRF (1u << 6)
#define SSR_TDRE (1u << 7)

void td_uart_init(void) {
  SCR = 0;
  SMR = 0;                                  /* 8 bits, no parity, 1 stop bit */
  SEMR = SEMR_BGDM | SEMR_ABCS | SEMR_BRME; /* 8 clocks a bit, times 256 / MDDR */
  BRR = TD_UART_DIVISOR & 0xFFu;
  MDDR = TD_UART_DIVISOR >> 8;
  SCR = SCR_TE | SCR_RE;
}

int td_uart_getc(void) {
  const uint8_t status = SSR;
  /* Errors must be cleared, or nothing more is received. */
  if ((status & SSR_ERRORS) != 0) SSR = (uint8_t)(status & ~SSR_ERRORS);
  return (status & SSR_RDRF) != 0 ? (int)RDR : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((SSR & SSR_TDRE) == 0) continue;
  TDR = byte;
}
