"""What an ELF takes of a board's memories, and which function is at an address."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from tinydeploy import boards, firmware
from tinydeploy.errors import RequestError

BOARD = boards.load("nucleo_l4r5zi")
FLASH, RAM = 0x0800_0000, 0x2000_0000
_PROGBITS, _SYMTAB, _STRTAB, _NOBITS = 1, 2, 3, 8
_ALLOC = 2

# Name, type, address, size; .data is stored in the flash behind .text.
SECTIONS = (
    (".text", _PROGBITS, FLASH, 0x1000),
    (".data", _PROGBITS, RAM, 0x10),
    (".bss", _NOBITS, RAM + 0x10, 0x30),
    (".arena", _NOBITS, RAM + 0x40, 0x400),
    (".stack", _NOBITS, RAM + 0x440, 0x800),
)
_OBJECT, _FUNC, _NOTYPE = 1, 2, 0

# Name, value, size, type, section number.
SYMBOLS = (
    ("$t", FLASH + 0x200, 0, _NOTYPE, 1),
    ("Reset_Handler", FLASH + 0x201, 0x20, _FUNC, 1),
    ("main", FLASH + 0x301, 0x100, _FUNC, 1),
    ("weights", FLASH + 0x800, 0x400, _OBJECT, 1),
    ("main_alias", FLASH + 0x301, 0x100, _FUNC, 1),
    ("td_arena", RAM + 0x40, 0x400, _OBJECT, 4),
    ("td_stack_top", RAM + 0xA0000, 0, _NOTYPE, 0xFFF1),
)


def _strings(names: Sequence[str]) -> tuple[bytes, dict[str, int]]:
    content, offsets = b"\0", {"": 0}
    for name in names:
        offsets[name] = len(content)
        content += name.encode() + b"\0"
    return content, offsets


def elf() -> bytes:
    """A 32-bit Arm ELF with SECTIONS and SYMBOLS."""
    strings, string_at = _strings([s[0] for s in SYMBOLS])
    table = bytes(16) + b"".join(
        struct.pack("<IIIBBH", string_at[name], value, size, kind, 0, section)
        for name, value, size, kind, section in SYMBOLS
    )
    names, name_at = _strings([*(s[0] for s in SECTIONS), ".symtab", ".strtab", ".shstrtab"])
    body, headers = b"", [bytes(40)]
    start = 52 + 3 * 32

    def add(name: str, kind: int, flags: int, address: int, data: bytes, size: int, link: int = 0,
            info: int = 0, entry: int = 0) -> None:  # fmt: skip
        nonlocal body
        offset = start + len(body)
        body += data
        headers.append(
            struct.pack("<10I", name_at[name], kind, flags, address, offset, size, link, info, 4,
                        entry)
        )  # fmt: skip

    for name, kind, address, size in SECTIONS:
        data = bytes(size) if kind == _PROGBITS else b""
        add(name, kind, _ALLOC, address, data, size)
    add(".symtab", _SYMTAB, 0, 0, table, len(table), len(SECTIONS) + 2, 1, 16)
    add(".strtab", _STRTAB, 0, 0, strings, len(strings))
    add(".shstrtab", _STRTAB, 0, 0, names, len(names))
    segments = b"".join(
        struct.pack("<8I", 1, start + at, address, load, stored, size, 7, 4)
        for at, address, load, stored, size in (
            (0, FLASH, FLASH, 0x1000, 0x1000),
            (0x1000, RAM, FLASH + 0x1000, 0x10, 0x10),
            (0x1010, RAM + 0x10, RAM + 0x10, 0, 0xC30),
        )
    )
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, FLASH + 0x201, 52, start + len(body), 0, 52,
                          32, 3, 40, len(headers), len(headers) - 1)  # fmt: skip
    return header + segments + body + b"".join(headers)


@pytest.fixture
def image(tmp_path: Path) -> firmware.Firmware:
    path = tmp_path / "firmware.elf"
    path.write_bytes(elf())
    return firmware.read(path, BOARD)


def test_sizes(image: firmware.Firmware) -> None:
    assert image.flash_bytes == 0x1010  # code, constants, and what .data begins with
    assert image.ram_bytes == 0xC40  # .data, .bss, arena and stack
    assert image.summary() == (
        "flash      4112 bytes of 2097152 (0.2%)\nRAM        3136 bytes of 655360 (0.5%)"
    )


def test_sections(image: firmware.Firmware) -> None:
    assert [s.name for s in image.sections] == [s[0] for s in SECTIONS]
    data = image.section(".data")
    assert data is not None
    assert (data.address, data.load_address, data.bytes) == (RAM, FLASH + 0x1000, 0x10)
    assert [s.stored for s in image.sections] == [True, True, False, False, False]
    assert image.section(".nothing") is None


def test_symbols(image: firmware.Firmware) -> None:
    main = image.symbols["main"]
    assert (main.address, main.bytes, main.is_function) == (FLASH + 0x300, 0x100, True)
    assert "$t" not in image.symbols
    assert image.entry == FLASH + 0x201
    assert BOARD.flash is not None
    assert [s.name for s in image.largest(BOARD.flash, 2)] == ["weights", "main"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (FLASH + 0x300, "main"),
        (FLASH + 0x301, "main"),  # the Thumb bit is no part of an address
        (FLASH + 0x310, "main+0x10"),
        (FLASH + 0x3FE, "main+0xfe"),
        (FLASH + 0x400, None),
        (FLASH, None),
        (RAM + 0x44, "td_arena+0x4"),
        (RAM + 0xA0000, None),
        (0, None),
        (0xFFFF_FFFE, None),
    ],
)
def test_symbol_at(image: firmware.Firmware, address: int, name: str | None) -> None:
    assert image.symbol_at(address) == name


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"MZ" * 100, elf()[:60]])
def test_what_is_no_elf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="is no ELF file"):
        firmware.read(path, BOARD)


def test_a_missing_elf(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read"):
        firmware.read(tmp_path / "firmware.elf", BOARD)
