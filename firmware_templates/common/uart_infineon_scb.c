/* Serial communication block of Infineon's PSoC 6 (Registers TRM, SCB). */
#include "td_registers.h"
#include "td_uart.h"

#define CTRL TD_REGISTER(TD_UART_ADDRESS + 0x000u)
#define UART_CTRL TD_REGISTER(TD_UART_ADDRESS + 0x040u)
#define UART_TX_CTRL TD_REGISTER(TD_UART_ADDRESS + 0x044u)
#define UART_RX_CTRL TD_REGISTER(TD_UART_ADDRESS + 0x048u)
#define TX_CTRL TD_REGISTER(TD_UART_ADDRESS + 0x200u)
#define TX_FIFO_STATUS TD_REGISTER(TD_UART_ADDRESS + 0x208u)
#define TX_FIFO_WR TD_REGISTER(TD_UART_ADDRESS + 0x240u)
#define RX_CTRL TD_REGISTER(TD_UART_ADDRESS + 0x300u)
#define RX_FIFO_STATUS TD_REGISTER(TD_UART_ADDRESS + 0x308u)
#define RX_FIFO_RD TD_REGISTER(TD_UART_ADDRESS + 0x340u)
#define DIV_CTL TD_REGISTER(TD_UART_DIVIDER) /* PERI, DIV_16_CTL: INT16_DIV from bit 8 on */

#define CTRL_MODE_UART (2u << 24)
#define CTRL_ENABLED (1u << 31)
#define ONE_STOP_BIT 1u /* in halves of a bit, less one */
#define BREAK_11_BITS (10u << 16)
#define DATA_8_BITS 7u
#define FIFO_USED 0x1FFu
#define FIFO_ENTRIES 64u

void td_uart_init(void) {
  CTRL = 0;
  DIV_CTL = (TD_UART_DIVISOR & 0xFFFFu) << 8;
  CTRL = CTRL_MODE_UART | TD_UART_DIVISOR >> 16;
  UART_CTRL = 0;
  UART_TX_CTRL = ONE_STOP_BIT;
  UART_RX_CTRL = ONE_STOP_BIT | BREAK_11_BITS;
  TX_CTRL = DATA_8_BITS;
  RX_CTRL = DATA_8_BITS;
  CTRL = CTRL_MODE_UART | TD_UART_DIVISOR >> 16 | CTRL_ENABLED;
}

int td_uart_getc(void) {
  return (RX_FIFO_STATUS & FIFO_USED) != 0 ? (int)(RX_FIFO_RD & 0xFFu) : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((TX_FIFO_STATUS & FIFO_USED) >= FIFO_ENTRIES) continue;
  TX_FIFO_WR = byte;
}
