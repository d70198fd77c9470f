/* USART of SAM's SERCOM (SAM D21/DA1 data sheet, DS40001882, and SAM D5x/E5x data sheet,
 * DS60001507, SERCOM USART). */
#include "td_registers.h"
#include "td_uart.h"

#define CTRLA TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define CTRLB TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define BAUD (*(volatile uint16_t *)(TD_UART_ADDRESS + 0x0Cu))
#define INTFLAG (*(volatile uint8_t *)(TD_UART_ADDRESS + 0x18u))
#define SYNCBUSY TD_REGISTER(TD_UART_ADDRESS + 0x1Cu)
#define DATA (*(volatile uint16_t *)(TD_UART_ADDRESS + 0x28u))

#define CTRLA_SWRST (1u << 0)
#define CTRLA_ENABLE (1u << 1)
#define CTRLA_INTERNAL_CLOCK (1u << 2)
#define CTRLA_LSB_FIRST (1u << 30)
#define CTRLB_TXEN (1u << 16)
#define CTRLB_RXEN (1u << 17)
#define INTFLAG_DRE (1u << 0)
#define INTFLAG_RXC (1u << 2)

static void synchronise(void) {
  while (SYNCBUSY != 0) continue;
}

void td_uart_init(void) {
  CTRLA = CTRLA_SWRST; /* a boot loader may have used it */
  synchronise();
  CTRLA = CTRLA_INTERNAL_CLOCK | CTRLA_LSB_FIRST | TD_UART_CONTROL;
  BAUD = TD_UART_DIVISOR;
  CTRLB = CTRLB_TXEN | CTRLB_RXEN;
  synchronise();
  CTRLA |= CTRLA_ENABLE;
  synchronise();
}

int td_uart_getc(void) { return (INTFLAG & INTFLAG_RXC) != 0 ? (int)(DATA & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((INTFLAG & INTFLAG_DRE) == 0) continue;
  DATA = byte;
}
