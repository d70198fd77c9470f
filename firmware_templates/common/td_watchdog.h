/* A watchdog that runs after reset; one of watchdog_*.c implements it. */
#ifndef TD_WATCHDOG_H
#define TD_WATCHDOG_H

void td_watchdog_off(void);

#endif
