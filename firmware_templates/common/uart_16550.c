/* The 16550, as in NXP's LPC17 (UM10360, chapter 14), Microchip's SmartFusion2 and, as Synopsys's
 * DW_apb_uart, Alif's Ensemble: a register a word. */
#include "td_registers.h"
#include "td_uart.h"

#define DATA TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define DLL TD_REGISTER(TD_UART_ADDRESS + 0x00u)
#define DLM TD_REGISTER(TD_UART_ADDRESS + 0x04u)
#define FCR TD_REGISTER(TD_UART_ADDRESS + 0x08u)
#define LCR TD_REGISTER(TD_UART_ADDRESS + 0x0Cu)
#define LSR TD_REGISTER(TD_UART_ADDRESS + 0x14u)
#define FDR TD_REGISTER(TD_UART_ADDRESS + 0x28u)

#define FCR_ENABLE_AND_CLEAR 7u
#define LCR_8_BITS 3u
#define LCR_DLAB (1u << 7)
#define LSR_DR (1u << 0)
#define LSR_THRE (1u << 5)

void td_uart_init(void) {
  LCR = LCR_DLAB;
  DLL = TD_UART_DIVISOR & 0xFFu;
  DLM = (TD_UART_DIVISOR >> 8) & 0xFFu;
  LCR = LCR_8_BITS;
#if TD_UART_FRACTION
  FDR = TD_UART_DIVISOR >> 16; /* the LPC's fractional divider */
#endif
  FCR = FCR_ENABLE_AND_CLEAR;
}

int td_uart_getc(void) { return (LSR & LSR_DR) != 0 ? (int)(DATA & 0xFFu) : -1; }

void td_uart_putc(uint8_t byte) {
  while ((LSR & LSR_THRE) == 0) continue;
  DATA = byte;
}
