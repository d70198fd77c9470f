/* UART of the nRF51 and nRF52 (nRF51 Series Reference Manual 3.0, chapter 29). */
#include "td_registers.h"
#include "td_uart.h"

#define TASKS_STARTRX TD_REGISTER(TD_UART_ADDRESS + 0x000u)
#define TASKS_STARTTX TD_REGISTER(TD_UART_ADDRESS + 0x008u)
#define EVENTS_RXDRDY TD_REGISTER(TD_UART_ADDRESS + 0x108u)
#define EVENTS_TXDRDY TD_REGISTER(TD_UART_ADDRESS + 0x11Cu)
#define ENABLE TD_REGISTER(TD_UART_ADDRESS + 0x500u)
#define PSELTXD TD_REGISTER(TD_UART_ADDRESS + 0x50Cu)
#define PSELRXD TD_REGISTER(TD_UART_ADDRESS + 0x514u)
#define RXD TD_REGISTER(TD_UART_ADDRESS + 0x518u)
#define TXD TD_REGISTER(TD_UART_ADDRESS + 0x51Cu)
#define BAUDRATE TD_REGISTER(TD_UART_ADDRESS + 0x524u)

void td_uart_init(void) {
  PSELTXD = TD_UART_TX_PIN;
  PSELRXD = TD_UART_RX_PIN;
  BAUDRATE = TD_UART_DIVISOR;
  ENABLE = 4;
  TASKS_STARTRX = 1;
  TASKS_STARTTX = 1;
}

int td_uart_getc(void) {
  if (EVENTS_RXDRDY == 0) return -1;
  EVENTS_RXDRDY = 0; /* before RXD is read: reading it may raise the next event */
  return (int)(RXD & 0xFFu);
}

void td_uart_putc(uint8_t byte) {
  EVENTS_TXDRDY = 0;
  TXD = byte;
  while (EVENTS_TXDRDY == 0) continue;
}
