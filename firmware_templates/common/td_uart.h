/* The console's serial port; one of uart_*.c implements it. */
#ifndef TD_UART_H
#define TD_UART_H

#include <stdint.h>

void td_uart_init(void);

/* The next byte received, or -1. Never waits. */
int td_uart_getc(void);

/* Waits until the transmitter takes the byte. */
void td_uart_putc(uint8_t byte);

#endif
