/* UART of the Kinetis K series, with registers of a byte (K64 Sub-Family Reference Manual, chapter
 * 52). */
#include "td_registers.h"
#include "td_uart.h"

#define AT(offset) (*(volatile uint8_t *)(TD_UART_ADDRESS + (offset)))
#define BDH AT(0x0u)
#define BDL AT(0x1u)
#define C2 AT(0x3u)
#define S1 AT(0x4u)
#define D AT(0x7u)
#define C4 AT(0xAu)
#define RWFIFO AT(0x15u)

#define C2_RE (1u << 2)
#define C2_TE (1u << 3)
#define S1_OR (1u << 3)
#define S1_RDRF (1u << 5)
#define S1_TDRE (1u << 7)

void td_uart_init(void) {
  C2 = 0;
  BDH = (uint8_t)(TD_UART_DIVISOR >> 13);
  BDL = (uint8_t)(TD_UART_DIVISOR >> 5);
  C4 = TD_UART_DIVISOR & 31u; /* 32nds */
  /* S1_RDRF from one byte on, as after reset; emulators may begin with 0. */
  RWFIFO = 1;
  C2 = C2_TE | C2_RE;
}

int td_uart_getc(void) {
  /* Reading S1 and then D clears an overrun too, which would stop reception. */
  const uint8_t status = S1;
  if ((status & (S1_RDRF | S1_OR)) == 0) return -1;
  const uint8_t byte = D;
  return (status & S1_RDRF) != 0 ? (int)byte : -1;
}

void td_uart_putc(uint8_t byte) {
  while ((S1 & S1_TDRE) == 0) continue;
  D = byte;
}
