/* APB UART of Arm's Cortex-M System Design Kit (DDI 0479, 4.3). */
#include "td_registers.h"
#include "td_uart.h"

#define DATA TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define STATE TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define CTRL TD_REGISTER(TD_UART_ADDRESS + 0x08u)
#define BAUDDIV TD_REGISTER(TD_UART_ADDRESS + 0x10u)

#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define CTRL_TX_ENABLE (1u << 0)
#define CTRL_RX_ENABLE (1u << 1)

void td_uart_init(void) {
  BAUDDIV = TD_UART_DIVISOR;
  CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

int td_uart_getc(void) { return (STATE & STATE_RX_FULL) != 0 ? (int)(DATA & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((STATE & STATE_TX_FULL) != 0) continue;
  DATA = byte;
}
