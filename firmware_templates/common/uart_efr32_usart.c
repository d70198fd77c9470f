/* USART of Silicon Labs' EFR32 (EFR32xG12 Reference Manual, chapter 18; EFR32xG24 Reference Manual,
 * USART). */
#include "td_registers.h"
#include "td_uart.h"

/* Series 2 has IPVERSION and EN in front. */
#define AT(offset) TD_REGISTER(TD_UART_ADDRESS + (offset) + (TD_UART_SERIES == 2 ? 8u : 0u))

#define EN TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define CMD AT(0x0Cu)
#define STATUS AT(0x10u)
#define CLKDIV AT(0x14u)
#define RXDATA AT(0x1Cu)
#define TXDATA AT(0x34u)

#define CMD_RXEN (1u << 0)
#define CMD_TXEN (1u << 2)
#define STATUS_TXBL (1u << 6)
#define STATUS_RXDATAV (1u << 7)

void td_uart_init(void) {
#if TD_UART_SERIES == 2
  EN = 1;
#endif
  CLKDIV = TD_UART_DIVISOR;
  CMD = CMD_RXEN | CMD_TXEN;
}

int td_uart_getc(void) { return (STATUS & STATUS_RXDATAV) != 0 ? (int)(RXDATA & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((STATUS & STATUS_TXBL) == 0) continue;
  TXDATA = byte;
}
