/* LPUART of NXP's i.MX RT and MCX (IMXRT1060RM, LPUART; MCXNx4xRM, LPUART). */
#include "td_registers.h"
#include "td_uart.h"

#define GLOBAL TD_REGISTER(TD_UART_ADDRESS + 0x08u)
#define BAUD TD_REGISTER(TD_UART_ADDRESS + 0x10u)
#define STAT TD_REGISTER(TD_UART_ADDRESS + 0x14u)
#define CTRL TD_REGISTER(TD_UART_ADDRESS + 0x18u)
#define DATA TD_REGISTER(TD_UART_ADDRESS + 0x1Cu)
#define FIFO TD_REGISTER(TD_UART_ADDRESS + 0x28u)

#define GLOBAL_RST (1u << 1)
#define STAT_OR (1u << 19)
#define STAT_RDRF (1u << 21)
#define STAT_TDRE (1u << 23)
#define CTRL_RE (1u << 18)
#define CTRL_TE (1u << 19)
#define FIFO_RXFE (1u << 3)
#define FIFO_TXFE (1u << 7)

void td_uart_init(void) {
  GLOBAL = GLOBAL_RST; /* the boot ROM may have used it */
  GLOBAL = 0;
  BAUD = TD_UART_DIVISOR;
  FIFO = FIFO_RXFE | FIFO_TXFE;
  CTRL = CTRL_TE | CTRL_RE;
}

int td_uart_getc(void) {
  const uint32_t status = STAT;
  /* An overrun must be cleared, or nothing more is received. */
  if ((status & STAT_OR) != 0) STAT = STAT_OR;
  return (status & STAT_RDRF) != 0 ? (int)(DATA & 0xFFu) : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((STAT & STAT_TDRE) == 0) continue;
  DATA = byte;
}
