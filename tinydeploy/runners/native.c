/* What the embedded emulator calls many times a second: the instruction counter, the console's
 * serial port and the core's own registers. Compiled once on the user's machine; native.py has
 * the same in Python for where no compiler runs, and loads it. Needs no C library. */
#include <stddef.h>
#include <stdint.h>

enum {
  RX_BYTES = 8192,
  TX_BYTES = 8192,
  PAGE_WORDS = 1024,
  BLOCKS = 1 << 15,
  DECODED_BYTES = 512,
  PROBES = 256,
  CACHE_LINES = 512
};
enum { XPSR_IT = 0x0600fc00 };
enum { STOP_SLICE = 1, STOP_IDLE = 2, STOP_RESET = 8, STOP_STUCK = 16 };
enum { IDLE_POLLS = 8, STUCK_BLOCKS = 1 << 20 };

typedef struct {
  uint32_t address, bytes, instructions, pad;
  uint64_t executions;
  uint64_t jumps; /* how often what followed was not what lies behind it */
} td_block;

/* A cache between the core and the flash: lines of which each is filled piece by piece, the one
 * that was used last first. */
typedef struct {
  uint32_t lines, line_bytes, read_bytes;
  uint32_t prefetch; /* what lies behind a read has been read before it is needed */
  uint32_t behind, pad;
  uint64_t misses; /* reads of the flash that the core waited for */
  uint32_t tag[CACHE_LINES];
  uint32_t filled[CACHE_LINES]; /* a bit a piece */
} td_cache;

/* Mirrored by native.Machine, field by field. */
typedef struct {
  uint64_t instructions;
  uint64_t stop_at;
  int (*emu_stop)(void *uc);
  int (*mem_read)(void *uc, uint64_t address, void *to, size_t bytes);
  int (*mem_write)(void *uc, uint64_t address, const void *from, size_t bytes);
  int (*reg_read)(void *uc, int number, void *to);
  int (*reg_write)(void *uc, int number, const void *from);
  td_block *blocks; /* BLOCKS of them, a hash table by address and size */
  uint32_t stopped; /* STOP_* */
  uint32_t idle_polls;
  uint32_t last_block, repeated;
  td_block *last;                  /* of the block that ran last, NULL where it has none */
  int32_t xpsr;                    /* Unicorn's number of that register */
  uint32_t flash_begin, flash_end; /* empty where the flash keeps up with the core */
  td_cache code, constants;

  /* The bits of a status register for "received", "nothing received" and "can send". */
  uint32_t status_offset[2], status_rx[2], status_empty[2], status_tx[2];
  uint32_t rx_offset, tx_offset, enable_offset, enable_bits;
  uint32_t uses_dma; /* then: its tasks, events and registers of buffers */
  uint32_t dma_tx_task, dma_tx_event, dma_tx_pointer, dma_tx_bytes;
  uint32_t dma_rx_task, dma_rx_event, dma_rx_pointer, dma_rx_armed;
  uint32_t rx_first, rx_count, tx_count;
  uint32_t capture_offset, captured_offset; /* a timer's, in its page; equal where there is none */

  uint64_t cyccnt_from, systick_from;
  uint32_t uart_page[PAGE_WORDS], system_page[PAGE_WORDS], dwt_page[PAGE_WORDS];
  uint32_t timer_page[PAGE_WORDS];
  uint8_t rx[RX_BYTES], tx[TX_BYTES];
} td_machine;

#define EXPORT __attribute__((visibility("default")))

static void stop(void *uc, td_machine *m, uint32_t why) {
  m->stopped |= why;
  m->emu_stop(uc);
}

/* A Thumb instruction whose first halfword begins with 11101, 11110 or 11111 has two. */
static uint32_t count_instructions(void *uc, td_machine *m, uint64_t address, uint32_t bytes) {
  uint16_t code[DECODED_BYTES / 2];
  uint32_t count = 0;
  uint32_t carry = 0; /* the second halfword of an instruction that the last piece cut */
  while (bytes > 0) {
    const uint32_t piece = bytes < DECODED_BYTES ? bytes : DECODED_BYTES;
    if (m->mem_read(uc, address, code, piece) != 0) {
      return count;
    }
    uint32_t i = carry;
    for (; i < piece / 2; count++) {
      i += code[i] >= 0xe800u ? 2u : 1u;
    }
    carry = i - piece / 2;
    address += piece;
    bytes -= piece;
  }
  return count;
}

/* The block's entry in the table, NULL when its part of the table is full. */
static td_block *find_block(void *uc, td_machine *m, uint32_t address, uint32_t bytes) {
  uint32_t slot = (address >> 1) * 0x9e3779b1u >> 17;
  for (uint32_t i = 0; i < PROBES; i++, slot = (slot + 1) % BLOCKS) {
    td_block *block = &m->blocks[slot];
    if (block->executions == 0) {
      *block = (td_block){address, bytes, count_instructions(uc, m, address, bytes), 0, 0};
      return block;
    }
    if (block->address == address && block->bytes == bytes) {
      return block;
    }
  }
  return NULL;
}

/* Reads the pieces of the flash that [address, address + bytes) lies in, unless they are cached. */
static void read_flash(td_cache *cache, uint32_t address, uint32_t bytes) {
  const uint32_t end = address + bytes;
  for (uint32_t at = address / cache->read_bytes * cache->read_bytes; at < end;
       at += cache->read_bytes) {
    const uint32_t line = at / cache->line_bytes + 1u; /* 0 is an empty line */
    const uint32_t piece = 1u << (at % cache->line_bytes / cache->read_bytes);
    uint32_t i = 0;
    while (i + 1u < cache->lines && cache->tag[i] != line) {
      i++;
    }
    uint32_t filled = cache->tag[i] == line ? cache->filled[i] : 0;
    for (; i > 0; i--) {
      cache->tag[i] = cache->tag[i - 1u];
      cache->filled[i] = cache->filled[i - 1u];
    }
    cache->misses += (filled & piece) == 0 && !(cache->prefetch && at == cache->behind);
    cache->behind = at + cache->read_bytes;
    cache->tag[0] = line;
    cache->filled[0] = filled | piece;
  }
}

/* A uc_cb_hookmem_t for reads of the flash. */
EXPORT void td_on_flash_read(void *uc, int kind, uint64_t address, int bytes, int64_t value,
                             void *user) {
  td_machine *m = user;
  (void)kind, (void)value;
  /* Before this call Unicorn stores how far an IT block has come, where the rest of the block takes
   * it for nothing: the next block would then be executed as the rest of that IT block. */
  uint32_t xpsr = 0;
  if (m->reg_read(uc, m->xpsr, &xpsr) == 0 && (xpsr & XPSR_IT) != 0) {
    xpsr &= ~(uint32_t)XPSR_IT;
    m->reg_write(uc, m->xpsr, &xpsr);
  }
  read_flash(&m->constants, (uint32_t)address, (uint32_t)bytes);
}

EXPORT void td_on_block(void *uc, uint64_t address, uint32_t bytes, void *user) {
  td_machine *m = user;
  if (m->instructions >= m->stop_at) {
    stop(uc, m, STOP_SLICE);
    return; /* the block has not run; it comes here again */
  }
  td_block *block = find_block(uc, m, (uint32_t)address, bytes);
  if (m->last != NULL && m->last->address + m->last->bytes != (uint32_t)address) {
    m->last->jumps++;
  }
  m->last = block;
  if (m->flash_begin <= address && address < m->flash_end) {
    read_flash(&m->code, (uint32_t)address, bytes);
  }
  if (block != NULL) {
    block->executions++;
    m->instructions += block->instructions;
  } else {
    m->instructions += count_instructions(uc, m, address, bytes);
  }
  m->repeated = bytes <= 4 && m->last_block == address ? m->repeated + 1 : 0;
  m->last_block = (uint32_t)address;
  if (m->repeated == STUCK_BLOCKS) {
    stop(uc, m, STOP_STUCK);
  }
}

static uint64_t part(uint32_t word, uint64_t offset, unsigned bytes) {
  const uint32_t shifted = word >> (8 * (offset & 3));
  return bytes >= 4 ? shifted : shifted & ((1u << (8 * bytes)) - 1u);
}

static void store(uint32_t *page, uint64_t offset, unsigned bytes, uint64_t value) {
  const uint32_t shift = 8 * (uint32_t)(offset & 3);
  const uint32_t mask = (bytes >= 4 ? 0xffffffffu : (1u << (8 * bytes)) - 1u) << shift;
  uint32_t *word = &page[offset / 4 % PAGE_WORDS];
  *word = (*word & ~mask) | (((uint32_t)value << shift) & mask);
}

static int enabled(const td_machine *m) {
  return (m->uart_page[m->enable_offset / 4] & m->enable_bits) == m->enable_bits;
}

static uint8_t receive(td_machine *m) {
  const uint8_t byte = m->rx[m->rx_first];
  m->idle_polls = 0;
  m->rx_first = (m->rx_first + 1) % RX_BYTES;
  m->rx_count--;
  return byte;
}

/* Never stops at once: a store that is stopped at is carried out again, and would send twice. */
static void send(td_machine *m, uint8_t byte) {
  m->idle_polls = 0;
  m->tx[m->tx_count++ % TX_BYTES] = byte;
  if (m->tx_count >= TX_BYTES / 2) {
    m->stop_at = m->instructions;
  }
}

static void idle(void *uc, td_machine *m) {
  if (++m->idle_polls >= IDLE_POLLS) {
    stop(uc, m, STOP_IDLE);
  }
}

/* The event register of reception by DMA: a byte that has come goes to memory when it is read. */
static void receive_by_dma(void *uc, td_machine *m) {
  uint32_t *event = &m->uart_page[m->dma_rx_event / 4 % PAGE_WORDS];
  if (*event != 0) {
    return;
  }
  if (m->rx_count == 0) {
    idle(uc, m);
  } else if (m->dma_rx_armed != 0) {
    const uint8_t byte = receive(m);
    m->mem_write(uc, m->uart_page[m->dma_rx_pointer / 4 % PAGE_WORDS], &byte, 1);
    m->dma_rx_armed = 0;
    *event = 1;
  }
}

static void send_by_dma(void *uc, td_machine *m) {
  const uint32_t from = m->uart_page[m->dma_tx_pointer / 4 % PAGE_WORDS];
  const uint32_t count = m->uart_page[m->dma_tx_bytes / 4 % PAGE_WORDS];
  for (uint32_t i = 0; i < count; i++) {
    uint8_t byte = 0;
    if (m->mem_read(uc, from + i, &byte, 1) != 0) {
      return; /* the port reaches RAM only; its end-event never comes */
    }
    send(m, byte);
  }
  m->uart_page[m->dma_tx_event / 4 % PAGE_WORDS] = 1;
}

/* Offsets are compared as they are: some ports have registers of a byte. */
EXPORT uint64_t td_uart_read(void *uc, uint64_t offset, unsigned bytes, void *user) {
  td_machine *m = user;
  const uint32_t at = (uint32_t)offset;
  if (enabled(m)) {
    for (int i = 0; i < 2; i++) {
      if (at == m->status_offset[i] && m->uses_dma == 0) {
        if (m->rx_count == 0 && (m->status_rx[i] | m->status_empty[i]) != 0) {
          idle(uc, m);
        }
        return m->status_tx[i] | (m->rx_count != 0 ? m->status_rx[i] : m->status_empty[i]);
      }
    }
    if (at == m->dma_rx_event && m->uses_dma != 0) {
      receive_by_dma(uc, m);
    } else if (at == m->rx_offset && m->rx_count != 0 && m->uses_dma == 0) {
      return receive(m);
    }
  }
  return part(m->uart_page[at / 4 % PAGE_WORDS], offset, bytes);
}

EXPORT void td_uart_write(void *uc, uint64_t offset, unsigned bytes, uint64_t value, void *user) {
  td_machine *m = user;
  const uint32_t at = (uint32_t)offset;
  if (!enabled(m)) {
    store(m->uart_page, offset, bytes, value);
  } else if (m->uses_dma != 0) {
    store(m->uart_page, offset, bytes, value);
    if (at == m->dma_tx_task) {
      send_by_dma(uc, m);
    } else if (at == m->dma_rx_task) {
      m->dma_rx_armed = 1;
    }
  } else if (at == m->tx_offset) {
    send(m, (uint8_t)value);
  } else {
    store(m->uart_page, offset, bytes, value);
  }
}

enum {
  SYST_CSR = 0x010,
  SYST_CVR = 0x018,
  AIRCR = 0xd0c,
  DEMCR = 0xdfc,
  DWT_CTRL = 0x000,
  DWT_CYCCNT = 0x004
};

static uint32_t cyccnt(const td_machine *m) { return (uint32_t)(m->instructions - m->cyccnt_from); }

/* The system control space at 0xE000E000. */
EXPORT uint64_t td_system_read(void *uc, uint64_t offset, unsigned bytes, void *user) {
  td_machine *m = user;
  (void)uc;
  uint32_t word = m->system_page[offset / 4 % PAGE_WORDS];
  if ((offset & ~3u) == SYST_CVR && (m->system_page[SYST_CSR / 4] & 1u) != 0) {
    /* Not cut to 24 bits: no interrupt would count the wraps here. */
    word = 0xffffffu - (uint32_t)(m->instructions - m->systick_from);
  }
  return part(word, offset, bytes);
}

EXPORT void td_system_write(void *uc, uint64_t offset, unsigned bytes, uint64_t value, void *user) {
  td_machine *m = user;
  store(m->system_page, offset, bytes, value);
  if (offset == SYST_CVR) {
    m->systick_from = m->instructions;
  }
  if (offset == AIRCR && (value & 0xffff0004u) == 0x05fa0004u) {
    stop(uc, m, STOP_RESET);
  }
}

/* The cycle counter at 0xE0001000: runs when DEMCR.TRCENA and CYCCNTENA are set. */
EXPORT uint64_t td_dwt_read(void *uc, uint64_t offset, unsigned bytes, void *user) {
  td_machine *m = user;
  (void)uc;
  uint32_t word = m->dwt_page[offset / 4 % PAGE_WORDS];
  if ((offset & ~3u) == DWT_CYCCNT && (m->dwt_page[DWT_CTRL / 4] & 1u) != 0 &&
      (m->system_page[DEMCR / 4] & 1u << 24) != 0) {
    word = cyccnt(m);
  }
  return part(word, offset, bytes);
}

EXPORT void td_dwt_write(void *uc, uint64_t offset, unsigned bytes, uint64_t value, void *user) {
  td_machine *m = user;
  (void)uc;
  store(m->dwt_page, offset, bytes, value);
  if (offset == DWT_CYCCNT) {
    m->cyccnt_from = m->instructions - value;
  }
}

/* A timer that copies its count to a register when another is written. */
EXPORT uint64_t td_timer_read(void *uc, uint64_t offset, unsigned bytes, void *user) {
  td_machine *m = user;
  (void)uc;
  return part(m->timer_page[offset / 4 % PAGE_WORDS], offset, bytes);
}

EXPORT void td_timer_write(void *uc, uint64_t offset, unsigned bytes, uint64_t value, void *user) {
  td_machine *m = user;
  (void)uc;
  store(m->timer_page, offset, bytes, value);
  if (offset == m->capture_offset) {
    m->timer_page[m->captured_offset / 4 % PAGE_WORDS] = (uint32_t)m->instructions;
  }
}
