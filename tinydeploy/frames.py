"""Frames of the wire: bytes on the line to what they say, and back; see docs/protocol.md."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from cobs import cobs

MOST_BODY_BYTES = 253
MOST_CONSOLE_BYTES = 4096
REPLY = 0x80  # is added to a request's type in its reply

_HEADER = struct.Struct("<BBHI")  # type, status, session, sequence


class Type(IntEnum):
    """What a request asks for."""

    HELLO = 1
    TENSOR = 2
    LOAD = 3
    RUN = 4
    STEP = 5
    READ = 6
    FAULT = 7


class Status(IntEnum):
    """What a reply says of its request."""

    OK = 0
    NO_SESSION = 1
    REFUSED = 2
    FAILED = 3
    NOT_READY = 4


class Kind(IntEnum):
    """Which of the model's tensors, or what it says is wrong."""

    INPUT = 0
    OUTPUT = 1
    LAYER = 2
    MESSAGE = 3


@dataclass(frozen=True)
class Frame:
    """A frame's content, CRC checked and removed."""

    type: int
    status: int
    session: int
    sequence: int
    data: bytes


def encode(frame: Frame) -> bytes:
    """A frame as it stands on the line, delimiters included."""
    body = _HEADER.pack(frame.type, frame.status, frame.session, frame.sequence) + frame.data
    body += zlib.crc32(body).to_bytes(4, "little")
    packet: bytes = cobs.encode(body)
    return b"\0" + packet + b"\0"


def decode(packet: bytes) -> Frame | None:
    """The frame in the bytes between two delimiters, None when they are none."""
    try:
        body: bytes = cobs.decode(packet)
    except cobs.DecodeError:
        return None
    if len(body) < _HEADER.size + 4 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        return None
    kind, status, session, sequence = _HEADER.unpack_from(body)
    return Frame(kind, status, session, sequence, body[_HEADER.size : -4])


class Receiver:
    """Takes a stream of bytes apart.

    Attributes:
        console: The last that came and was no frame.
    """

    def __init__(self) -> None:
        self.console = bytearray()
        self._pending = bytearray()

    def frames(self, received: bytes) -> list[Frame]:
        """The frames that are complete with these bytes."""
        self._pending += received
        *packets, rest = self._pending.split(b"\0")
        found = []
        for packet in packets:
            frame = decode(bytes(packet))
            if frame is not None:
                found.append(frame)
            else:
                self._print(packet)
        if len(rest) > MOST_BODY_BYTES + 1:  # longer than any frame
            self._print(rest)
            rest = bytearray()
        self._pending = rest
        return found

    def _print(self, text: bytes | bytearray) -> None:
        self.console = (self.console + text)[-MOST_CONSOLE_BYTES:]
