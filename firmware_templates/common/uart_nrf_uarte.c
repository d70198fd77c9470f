/* UARTE of the nRF53 and nRF54L, which moves bytes to and from RAM by itself: one byte at a time
 * here (nRF5340 Product Specification 1.3, UARTE; nRF54L15 Datasheet, UARTE). */
#include "td_registers.h"
#include "td_uart.h"

#define AT(offset) TD_REGISTER(TD_UART_ADDRESS + (offset))

#if TD_UART_NRF54
#define START_RX AT(0x028u)
#define START_TX AT(0x050u)
#define END_RX AT(0x14Cu)
#define END_TX AT(0x168u)
#define PSEL_TXD AT(0x604u)
#define PSEL_RXD AT(0x60Cu)
#define RX_POINTER AT(0x704u)
#define RX_BYTES AT(0x708u)
#define TX_POINTER AT(0x73Cu)
#define TX_BYTES AT(0x740u)
#else
#define START_RX AT(0x000u)
#define START_TX AT(0x008u)
#define END_RX AT(0x110u)
#define END_TX AT(0x120u)
#define PSEL_TXD AT(0x50Cu)
#define PSEL_RXD AT(0x514u)
#define RX_POINTER AT(0x534u)
#define RX_BYTES AT(0x538u)
#define TX_POINTER AT(0x544u)
#define TX_BYTES AT(0x548u)
#endif
#define ENABLE AT(0x500u)
#define BAUDRATE AT(0x524u)

static volatile uint8_t received, to_send;

void td_uart_init(void) {
  PSEL_TXD = TD_UART_TX_PIN;
  PSEL_RXD = TD_UART_RX_PIN;
  BAUDRATE = TD_UART_DIVISOR;
  ENABLE = 8;
  RX_POINTER = (uint32_t)&received;
  RX_BYTES = 1;
  TX_POINTER = (uint32_t)&to_send;
  TX_BYTES = 1;
  END_RX = 0;
  START_RX = 1;
}

int td_uart_getc(void) {
  if (END_RX == 0) return -1;
  const uint8_t byte = received;
  END_RX = 0;
  START_RX = 1; /* until then the port keeps what comes in its FIFO */
  return byte;
}

void td_uart_putc(uint8_t byte) {
  to_send = byte;
  END_TX = 0;
  START_TX = 1;
  while (END_TX == 0) continue;
}
