/* Cycles from TIMER0 of the nRF51, which has neither DWT nor SysTick: 32 bits at 16 MHz, the
 * processor's own clock (nRF51 Series Reference Manual 3.0, chapter 18). */
#include "td_counter.h"
#include "td_registers.h"

#define TASKS_START TD_REGISTER(TD_COUNTER_ADDRESS + 0x000u)
#define TASKS_STOP TD_REGISTER(TD_COUNTER_ADDRESS + 0x004u)
#define TASKS_CLEAR TD_REGISTER(TD_COUNTER_ADDRESS + 0x00Cu)
#define TASKS_CAPTURE0 TD_REGISTER(TD_COUNTER_ADDRESS + 0x040u)
#define MODE TD_REGISTER(TD_COUNTER_ADDRESS + 0x504u)
#define BITMODE TD_REGISTER(TD_COUNTER_ADDRESS + 0x508u)
#define PRESCALER TD_REGISTER(TD_COUNTER_ADDRESS + 0x510u)
#define CC0 TD_REGISTER(TD_COUNTER_ADDRESS + 0x540u)

void td_counter_init(void) {
  TASKS_STOP = 1;
  MODE = 0;      /* timer */
  BITMODE = 3;   /* 32 bits */
  PRESCALER = 0; /* 16 MHz */
  TASKS_CLEAR = 1;
  TASKS_START = 1;
}

uint32_t td_counter_read(void) {
  TASKS_CAPTURE0 = 1;
  return CC0;
}
