/* Switches off the watchdog of the Kinetis K series, which runs after reset (K64 Sub-Family
 * Reference Manual, chapter 24). */
#include "td_registers.h"
#include "td_watchdog.h"

#define STCTRLH (*(volatile uint16_t *)(TD_WATCHDOG_ADDRESS + 0x00u))
#define UNLOCK (*(volatile uint16_t *)(TD_WATCHDOG_ADDRESS + 0x0Eu))

#define STCTRLH_WDOGEN (1u << 0)

void td_watchdog_off(void) {
  UNLOCK = 0xC520u;
  UNLOCK = 0xD928u; /* within 20 cycles */
  __asm volatile("nop\n\tnop");
  STCTRLH = (uint16_t)(STCTRLH & ~STCTRLH_WDOGEN);
}
