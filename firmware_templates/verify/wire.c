#include "wire.h"

#include "td_board.h"

#define CRC_BYTES 4u
#define BODY_BYTES (TD_WIRE_HEADER_BYTES + TD_WIRE_DATA_BYTES + CRC_BYTES)

/* C99 has no static assertions; an array of -1 elements does not compile. With bodies shorter than
 * 254 bytes a frame is one COBS block, which is never full (code FF). */
typedef char td_frame_is_one_block[BODY_BYTES < 254u ? 1 : -1];
typedef char td_frame_has_no_padding[sizeof(td_frame) == BODY_BYTES ? 1 : -1];

#ifdef __OPTIMIZE_SIZE__
uint32_t td_wire_crc(uint32_t crc, const uint8_t *bytes, uint32_t count) {
  crc = ~crc;
  for (uint32_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (uint32_t bit = 0; bit < 8u; bit++) {
      crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
  }
  return ~crc;
}
#else
/* Four bits at a time: the table is the CRC of each nibble. */
uint32_t td_wire_crc(uint32_t crc, const uint8_t *bytes, uint32_t count) {
  static const uint32_t table[16] = {
      0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
      0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
      0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
  };
  crc = ~crc;
  for (uint32_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    crc = table[crc & 15u] ^ (crc >> 4);
    crc = table[crc & 15u] ^ (crc >> 4);
  }
  return ~crc;
}
#endif

static uint8_t next_byte(void) {
  int byte;
  do {
    byte = td_board_getc();
  } while (byte < 0);
  return (uint8_t)byte;
}

/* Decodes the bytes up to the next delimiter. Returns the body's length; 0 when they cannot be a
 * frame: none, too many, or cut inside a COBS block. */
static uint32_t receive_body(uint8_t *body) {
  uint32_t length = 0;
  uint32_t left = 0; /* bytes of the current block that are still to come */
  int first = 1;
  for (;;) {
    uint8_t byte = next_byte();
    if (byte == 0u) {
      return left == 0u ? length : 0u;
    }
    if (left > 0u) {
      left--;
    } else {
      left = byte - 1u;
      if (first) {
        first = 0;
        continue;
      }
      byte = 0u; /* what a block's code stands for, but for the first block's */
    }
    if (length == BODY_BYTES) {
      while (next_byte() != 0u) {
      }
      return 0u;
    }
    body[length++] = byte;
  }
}

uint32_t td_wire_receive(td_frame *frame) {
  uint8_t *body = (uint8_t *)frame;
  for (;;) {
    const uint32_t length = receive_body(body);
    /* The CRC of a message followed by its CRC is a constant. */
    if (length >= TD_WIRE_HEADER_BYTES + CRC_BYTES && (frame->type & TD_REPLY) == 0u &&
        td_wire_crc(0u, body, length) == 0x2144df1cu) {
      return length - TD_WIRE_HEADER_BYTES - CRC_BYTES;
    }
  }
}

void td_wire_send(td_frame *frame, uint32_t data_bytes) {
  uint8_t *body = (uint8_t *)frame;
  uint32_t length = TD_WIRE_HEADER_BYTES + data_bytes;
  uint32_t crc = td_wire_crc(0u, body, length);
  for (uint32_t i = 0; i < CRC_BYTES; i++, crc >>= 8) {
    body[length++] = (uint8_t)crc;
  }
  td_board_putc(0u);
  for (uint32_t start = 0; start <= length;) {
    uint32_t end = start;
    while (end < length && body[end] != 0u) {
      end++;
    }
    td_board_putc((uint8_t)(end - start + 1u));
    for (; start < end; start++) {
      td_board_putc(body[start]);
    }
    start++; /* the zero, or one past the end */
  }
  td_board_putc(0u);
}
