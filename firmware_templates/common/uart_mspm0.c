/* UART of TI's MSPM0 (MSPM0 G-Series Technical Reference Manual, SLAU846, UART); its registers from
 * offset 0x1000 on. */
#include "td_registers.h"
#include "td_uart.h"

#define CLKDIV TD_REGISTER(TD_UART_ADDRESS + 0x000u)
#define CLKSEL TD_REGISTER(TD_UART_ADDRESS + 0x008u)
#define CTL0 TD_REGISTER(TD_UART_ADDRESS + 0x100u)
#define LCRH TD_REGISTER(TD_UART_ADDRESS + 0x104u)
#define STAT TD_REGISTER(TD_UART_ADDRESS + 0x108u)
#define IBRD TD_REGISTER(TD_UART_ADDRESS + 0x110u)
#define FBRD TD_REGISTER(TD_UART_ADDRESS + 0x114u)
#define TXDATA TD_REGISTER(TD_UART_ADDRESS + 0x120u)
#define RXDATA TD_REGISTER(TD_UART_ADDRESS + 0x124u)

#define CLKSEL_BUSCLK (1u << 3)
#define CTL0_ENABLE (1u << 0)
#define CTL0_RXE (1u << 3)
#define CTL0_TXE (1u << 4)
#define CTL0_FEN (1u << 17)
#define LCRH_8_BITS (3u << 4)
#define STAT_RXFE (1u << 2)
#define STAT_TXFF (1u << 7)

void td_uart_init(void) {
  CTL0 = 0;
  CLKSEL = CLKSEL_BUSCLK;
  CLKDIV = 0;
  IBRD = TD_UART_DIVISOR >> 6;
  FBRD = TD_UART_DIVISOR & 63u;
  LCRH = LCRH_8_BITS; /* after the divisor, which it makes valid */
  CTL0 = CTL0_FEN | CTL0_TXE | CTL0_RXE | CTL0_ENABLE;
}

int td_uart_getc(void) { return (STAT & STAT_RXFE) == 0 ? (int)(RXDATA & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((STAT & STAT_TXFF) != 0) continue;
  TXDATA = byte;
}
