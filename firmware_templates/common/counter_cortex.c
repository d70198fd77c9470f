/* Cycles from the DWT's CYCCNT where the core has one that counts, else from SysTick (Armv7-M
 * Architecture Reference Manual, C1.8 and B3.3).
 *
 * SysTick has 24 bits; its interrupt counts the wraps. An emulator that delivers no interrupts
 * gives a SYST_CVR that is not cut to 24 bits: 0xFFFFFF - cycles modulo 2^32. */
#include "td_counter.h"
#include "td_registers.h"

#define SYST_CSR TD_REGISTER(0xE000E010u)
#define SYST_RVR TD_REGISTER(0xE000E014u)
#define SYST_CVR TD_REGISTER(0xE000E018u)
#define SYST_RELOAD 0xFFFFFFu
#define SYST_ENABLE (1u << 0)
#define SYST_TICKINT (1u << 1)
#define SYST_CLKSOURCE (1u << 2) /* the processor's clock */

#define DEMCR TD_REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL TD_REGISTER(0xE0001000u)
#define DWT_CYCCNT TD_REGISTER(0xE0001004u)
#define DWT_LAR TD_REGISTER(0xE0001FB0u)

void SysTick_Handler(void);

static volatile uint32_t wraps;
static uint8_t has_cyccnt;

/* Weak, so that an application with an operating system can take it over. */
__attribute__((weak)) void SysTick_Handler(void) { wraps = wraps + 1; }

#if TD_HAS_DWT
static uint8_t start_cyccnt(void) {
  DEMCR |= DEMCR_TRCENA;
  DWT_LAR = 0xC5ACCE55u; /* unlocks the registers on a Cortex-M7 */
  DWT_CYCCNT = 0;
  DWT_CTRL |= 1u;
  const uint32_t before = DWT_CYCCNT;
  return DWT_CYCCNT != before;
}
#else
static uint8_t start_cyccnt(void) { return 0; }
#endif

void td_counter_init(void) {
  has_cyccnt = start_cyccnt();
  if (has_cyccnt) return;
  SYST_RVR = SYST_RELOAD;
  SYST_CVR = 0;
  SYST_CSR = SYST_CLKSOURCE | SYST_TICKINT | SYST_ENABLE;
}

uint32_t td_counter_read(void) {
#if TD_HAS_DWT
  if (has_cyccnt) return DWT_CYCCNT;
#endif
  uint32_t before, left;
  do {
    before = wraps;
    left = SYST_CVR;
    /* 0, for one tick: not loaded yet, or wrapped already and not loaded again. */
  } while (left == 0 || wraps != before);
  return (before << 24) + (SYST_RELOAD - left);
}
