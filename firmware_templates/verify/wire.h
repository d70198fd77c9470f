/* The wire: frames between the host and this firmware, over the board's console.
 *
 * On the line:  00 | COBS(body) | 00         body = header, data, CRC-32 of both
 * docs/protocol.md describes every byte. All numbers are little-endian, as is every Cortex-M.
 */
#ifndef TD_WIRE_H
#define TD_WIRE_H

#include <stdint.h>

#define TD_WIRE_PROTOCOL 1u
#define TD_WIRE_DATA_BYTES 240u

enum {
  TD_HELLO = 1,
  TD_TENSOR = 2,
  TD_LOAD = 3,
  TD_RUN = 4,
  TD_STEP = 5,
  TD_READ = 6,
  TD_FAULT = 7,
  TD_REPLY = 0x80 /* is added to a request's type in its reply */
};

enum {
  TD_STATUS_OK = 0,
  TD_STATUS_NO_SESSION = 1, /* no hello since the reset */
  TD_STATUS_REFUSED = 2,    /* there is no such request or tensor */
  TD_STATUS_FAILED = 3,     /* td_model_*() returned TD_ERROR */
  TD_STATUS_NOT_READY = 4   /* the inputs, or the layer before, are not what the host thinks */
};

/* A message is text, read like a tensor. */
enum { TD_KIND_INPUT = 0, TD_KIND_OUTPUT = 1, TD_KIND_LAYER = 2, TD_KIND_MESSAGE = 3 };

/* A frame's body without its CRC. `data` has room for the CRC behind the largest data. */
typedef struct {
  uint8_t type;
  uint8_t status; /* 0 in a request */
  uint16_t session;
  uint32_t sequence;
  uint32_t data[TD_WIRE_DATA_BYTES / 4u + 1u];
} td_frame;

#define TD_WIRE_HEADER_BYTES 8u

/* CRC-32 (IEEE 802.3, reflected) of bytes that may come in pieces: `crc` is 0 before the first. */
uint32_t td_wire_crc(uint32_t crc, const uint8_t *bytes, uint32_t count);

/* Waits for the next whole request with a right CRC; all else on the line is passed over, our own
 * replies too, should the line echo them.
 * Returns how many bytes of data it has, 0 <= . <= TD_WIRE_DATA_BYTES. */
uint32_t td_wire_receive(td_frame *frame);

/* Sends a frame with `data_bytes` <= TD_WIRE_DATA_BYTES; writes the CRC behind the data. */
void td_wire_send(td_frame *frame, uint32_t data_bytes);

#endif
