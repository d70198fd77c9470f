/* Arm's PL011 (DDI 0183), as in RP2040, RP2350, Stellaris, TM4C, CC13xx, Musca and, with clock bits
 * of its own in CR, Apollo. */
#include "td_registers.h"
#include "td_uart.h"

#define DR TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define FR TD_REGISTER(TD_UART_ADDRESS + 0x18u)
#define IBRD TD_REGISTER(TD_UART_ADDRESS + 0x24u)
#define FBRD TD_REGISTER(TD_UART_ADDRESS + 0x28u)
#define LCR_H TD_REGISTER(TD_UART_ADDRESS + 0x2Cu)
#define CR TD_REGISTER(TD_UART_ADDRESS + 0x30u)

#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCR_H_FEN (1u << 4)
#define LCR_H_8_BITS (3u << 5)
#define CR_UARTEN (1u << 0)
#define CR_TXE (1u << 8)
#define CR_RXE (1u << 9)

void td_uart_init(void) {
  CR = TD_UART_CONTROL;
  IBRD = TD_UART_DIVISOR >> 6;
  FBRD = TD_UART_DIVISOR & 63u;
  LCR_H = LCR_H_8_BITS | LCR_H_FEN; /* after the divisor, which it makes valid */
  CR = TD_UART_CONTROL | CR_UARTEN | CR_TXE | CR_RXE;
}

int td_uart_getc(void) { return (FR & FR_RXFE) == 0 ? (int)(DR & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((FR & FR_TXFF) != 0) continue;
  DR = byte;
}
