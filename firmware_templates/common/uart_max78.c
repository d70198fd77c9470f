/* UART of Analog Devices' MAX78000 (MAX78000 User Guide, UG7456, UART). */
#include "td_registers.h"
#include "td_uart.h"

#define CTRL TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define STATUS TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define CLKDIV TD_REGISTER(TD_UART_ADDRESS + 0x10u)
#define FIFO TD_REGISTER(TD_UART_ADDRESS + 0x20u)

#define CTRL_TX_FLUSH (1u << 8)
#define CTRL_RX_FLUSH (1u << 9)
#define CTRL_8_BITS (3u << 10)
#define CTRL_BCLKEN (1u << 15) /* of BCLKSRC = 0, the peripherals' clock */
#define STATUS_RX_EM (1u << 4)
#define STATUS_TX_FULL (1u << 7)

void td_uart_init(void) {
  CTRL = CTRL_8_BITS | CTRL_TX_FLUSH | CTRL_RX_FLUSH;
  CLKDIV = TD_UART_DIVISOR;
  CTRL = CTRL_8_BITS | CTRL_BCLKEN;
}

int td_uart_getc(void) { return (STATUS & STATUS_RX_EM) == 0 ? (int)(FIFO & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((STATUS & STATUS_TX_FULL) != 0) continue;
  FIFO = byte;
}
