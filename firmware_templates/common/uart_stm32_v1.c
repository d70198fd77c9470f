/* USART of the STM32F1, F2, F4 and L1: registers SR, DR, BRR, CR1 (RM0008 and RM0090, USART). */
#include "td_registers.h"
#include "td_uart.h"

#define SR TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define DR TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define BRR TD_REGISTER(TD_UART_ADDRESS + 0x08u)
#define CR1 TD_REGISTER(TD_UART_ADDRESS + 0x0Cu)

#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

void td_uart_init(void) {
  BRR = TD_UART_DIVISOR;
  CR1 = CR1_UE | CR1_TE | CR1_RE;
}

int td_uart_getc(void) {
  /* Reading SR and then DR clears an overrun too. */
  return (SR & SR_RXNE) != 0 ? (int)(DR & 0xFFu) : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((SR & SR_TXE) == 0) continue;
  DR = byte;
}
