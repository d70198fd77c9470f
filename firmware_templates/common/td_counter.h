/* What td_board_cycles() counts with; one of counter_*.c implements it. */
#ifndef TD_COUNTER_H
#define TD_COUNTER_H

#include <stdint.h>

void td_counter_init(void);

/* Processor cycles, modulo 2^32. */
uint32_t td_counter_read(void);

#endif
