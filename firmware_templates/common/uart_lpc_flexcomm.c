/* USART of the LPC55's Flexcomm (UM11126, chapter 37). */
#include "td_registers.h"
#include "td_uart.h"

#define CFG TD_REGISTER(TD_UART_ADDRESS + 0x000u)
#define BRG TD_REGISTER(TD_UART_ADDRESS + 0x020u)
#define OSR TD_REGISTER(TD_UART_ADDRESS + 0x028u)
#define FIFOCFG TD_REGISTER(TD_UART_ADDRESS + 0xE00u)
#define FIFOSTAT TD_REGISTER(TD_UART_ADDRESS + 0xE04u)
#define FIFOWR TD_REGISTER(TD_UART_ADDRESS + 0xE20u)
#define FIFORD TD_REGISTER(TD_UART_ADDRESS + 0xE30u)
#define PSELID TD_REGISTER(TD_UART_ADDRESS + 0xFF8u)

#define CFG_ENABLE (1u << 0)
#define CFG_8_BITS (1u << 2)
#define FIFOCFG_ENABLETX (1u << 0)
#define FIFOCFG_ENABLERX (1u << 1)
#define FIFOSTAT_TXNOTFULL (1u << 5)
#define FIFOSTAT_RXNOTEMPTY (1u << 6)
#define PSELID_USART 1u

void td_uart_init(void) {
  PSELID = PSELID_USART;
  CFG = CFG_8_BITS;
  OSR = TD_UART_DIVISOR >> 16;
  BRG = TD_UART_DIVISOR & 0xFFFFu;
  FIFOCFG = FIFOCFG_ENABLETX | FIFOCFG_ENABLERX;
  CFG = CFG_8_BITS | CFG_ENABLE;
}

int td_uart_getc(void) {
  return (FIFOSTAT & FIFOSTAT_RXNOTEMPTY) != 0 ? (int)(FIFORD & 0xFFu) : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((FIFOSTAT & FIFOSTAT_TXNOTFULL) == 0) continue;
  FIFOWR = byte;
}
