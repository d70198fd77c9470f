/* USART and LPUART of the STM32F0, F3, F7, G, H, L0, L4, L5, U, W: registers ISR, RDR, TDR
 * (RM0432, USART and LPUART). */
#include "td_registers.h"
#include "td_uart.h"

#define CR1 TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define BRR TD_REGISTER(TD_UART_ADDRESS + 0x0Cu)
#define ISR TD_REGISTER(TD_UART_ADDRESS + 0x1Cu)
#define ICR TD_REGISTER(TD_UART_ADDRESS + 0x20u)
#define RDR TD_REGISTER(TD_UART_ADDRESS + 0x24u)
#define TDR TD_REGISTER(TD_UART_ADDRESS + 0x28u)

#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)
#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_FIFOEN (1u << 29)

void td_uart_init(void) {
  CR1 = 0;
  BRR = TD_UART_DIVISOR;
  CR1 = (TD_UART_FIFO ? CR1_FIFOEN : 0u) | CR1_TE | CR1_RE | CR1_UE;
}

int td_uart_getc(void) {
  const uint32_t status = ISR;
  /* An overrun must be cleared, or nothing more is received. */
  if ((status & ISR_ORE) != 0) ICR = ISR_ORE;
  return (status & ISR_RXNE) != 0 ? (int)(RDR & 0xFFu) : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((ISR & ISR_TXE) == 0) continue;
  TDR = byte;
}
