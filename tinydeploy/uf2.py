"""UF2, the file format of boot loaders that look like a USB drive.

A file is a sequence of blocks of 512 bytes, each complete in itself: where its payload goes, how
many there are, and for which family of microcontrollers (github.com/microsoft/uf2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BLOCK_BYTES = 512
PAYLOAD_BYTES = 256  # what every boot loader takes; a flash page of most
FLAG_NOT_MAIN_FLASH = 0x0000_0001
FLAG_FILE_CONTAINER = 0x0000_1000
FLAG_FAMILY = 0x0000_2000

# From the specification's list of families; RP2350's from its data sheet, 5.5.3.
FAMILIES: Mapping[str, int] = {
    "LPC55": 0x2ABC77EC,
    "MIMXRT10XX": 0x4FB2D5BD,
    "NRF52": 0x1B57745F,
    "NRF52833": 0x621E937A,
    "NRF52840": 0xADA52840,
    "RP2040": 0xE48BFF56,
    "RP2350_ARM_S": 0xE48BFF59,
    "SAMD21": 0x68ED2B88,
    "SAMD51": 0x55114460,
    "SAML21": 0x1851780A,
    "STM32F0": 0x647824B6,
    "STM32F1": 0x5EE21072,
    "STM32F2": 0x5D1A0A2E,
    "STM32F3": 0x6B846188,
    "STM32F4": 0x57755A57,
    "STM32F7": 0x53B80F00,
    "STM32G0": 0x300F5633,
    "STM32G4": 0x4C71240A,
    "STM32H7": 0x6DB66082,
    "STM32L0": 0x202E3A91,
    "STM32L1": 0x1E1F432D,
    "STM32L4": 0x00FF6919,
    "STM32L5": 0x04240BDF,
    "STM32WB": 0x70D16653,
    "STM32WL": 0x21460FF0,
}

_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
# Two magic numbers, flags, address, payload's bytes, block's number, blocks, family; 476 bytes of
# payload and zeros; a magic number.
_BLOCK = struct.Struct("<8I476sI")
_ERASED = 0xFF


@dataclass(frozen=True)
class Block:
    """A block of a file: `data` goes to `address`."""

    address: int
    data: bytes
    number: int
    count: int
    flags: int
    family: int


def encode(segments: Iterable[tuple[int, bytes]], family: int) -> bytes:
    """A file of (address, bytes); pages that they fill in part are filled up with 0xFF.

    Every block has a whole, aligned page, as RP2040's boot loader asks for.
    """
    pages: dict[int, bytearray] = {}
    for address, data in segments:
        for offset, byte in enumerate(data, address):
            start = offset - offset % PAYLOAD_BYTES
            page = pages.setdefault(start, bytearray([_ERASED]) * PAYLOAD_BYTES)
            page[offset - start] = byte
    blocks = []
    for number, start in enumerate(sorted(pages)):
        head = (*_MAGIC, FLAG_FAMILY, start, PAYLOAD_BYTES, number, len(pages), family)
        blocks.append(_BLOCK.pack(*head, bytes(pages[start]), _MAGIC_END))
    return b"".join(blocks)


def decode(content: bytes) -> list[Block]:
    """The blocks of a file; what is no block of it is passed over, as boot loaders do.

    Raises:
        ValueError: It is not a whole number of blocks.
    """
    if len(content) % BLOCK_BYTES:
        raise ValueError(f"{len(content)} bytes are not a whole number of blocks")
    blocks = []
    for fields in _BLOCK.iter_unpack(content):
        first, second, flags, address, size, number, count, family, data, end = fields
        if (first, second) == _MAGIC and end == _MAGIC_END and size <= len(data):
            blocks.append(Block(address, data[:size], number, count, flags, family))
    return blocks
