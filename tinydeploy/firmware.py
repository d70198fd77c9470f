"""A linked firmware: what lies where in its ELF, and what it takes of the board's memories."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .board import Board
from .errors import RequestError
from .mcu import Memory

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_THUMB = 1


@dataclass(frozen=True)
class Section:
    """A section that is loaded or reserved at run time.

    Attributes:
        address: Where it is while the firmware runs.
        load_address: Where the flash holds its content; `address` for code and constants.
        bytes: Its size in memory.
        stored: The image holds its content; false for what start-up code clears or leaves alone.
        file_offset: Where in the ELF that is.
    """

    name: str
    address: int
    load_address: int
    bytes: int
    stored: bool
    file_offset: int = 0


@dataclass(frozen=True)
class Symbol:
    """A function or an object; of a Thumb function the address without the mode bit."""

    name: str
    address: int
    bytes: int
    is_function: bool


@dataclass(frozen=True, eq=False)
class Firmware:
    """An ELF and what is known of it.

    Attributes:
        sections: Those that take memory, by address.
        symbols: By name; of several static ones with one name, the first in the file.
    """

    elf: Path
    board: Board
    entry: int
    sections: tuple[Section, ...]
    symbols: Mapping[str, Symbol]
    _by_address: tuple[Symbol, ...] = field(repr=False)

    @cached_property
    def flash_bytes(self) -> int:
        """What flashing writes, from the first to the last byte; initial values of data too.

        For a firmware of this machine, the bytes of code and data.
        """
        return _extent(
            [(s.load_address, s.bytes) for s in self.sections if s.stored], self.board.flash
        )

    @cached_property
    def ram_bytes(self) -> int:
        """Data, arena and the least stack, from the first to the last byte."""
        if self.board.ram is None:
            return sum(s.bytes for s in self.sections if not s.stored)
        return _extent([(s.address, s.bytes) for s in self.sections], self.board.ram)

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)

    def symbol_at(self, address: int) -> str | None:
        """The function at a program counter, or the object at an address.

        Returns:
            Its name; "name+0x10" past its start; None where there is nothing.
        """
        index = bisect_right(self._by_address, address & ~_THUMB, key=lambda s: s.address) - 1
        if index < 0:
            return None
        symbol = self._by_address[index]
        offset = (address & ~_THUMB) - symbol.address
        # Handwritten assembly may give no size; then all up to the next symbol is its.
        if offset >= symbol.bytes and (symbol.bytes or not self._in_section(address)):
            return None
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def file_offset(self, address: int) -> int:
        """Where in the ELF the byte is that the image has at an address.

        Raises:
            KeyError: It has none there.
        """
        for section in self.sections:
            if section.stored and section.address <= address < section.address + section.bytes:
                return section.file_offset + address - section.address
        raise KeyError(address)

    def largest(self, memory: Memory, count: int = 10) -> tuple[Symbol, ...]:
        """The symbols that take most of a memory, largest first."""
        inside = [s for s in self.symbols.values() if memory.origin <= s.address < memory.end]
        return tuple(sorted(inside, key=lambda s: (-s.bytes, s.address))[:count])

    def summary(self) -> str:
        """Flash and RAM, used and there, two lines."""
        rows = [("flash", self.flash_bytes, self.board.flash)]
        rows += [("RAM", self.ram_bytes, self.board.ram)]
        return "\n".join(
            f"{name:6}{used:9} bytes"
            + (f" of {memory.bytes} ({used / memory.bytes:.1%})" if memory else "")
            for name, used, memory in rows
        )

    def _in_section(self, address: int) -> bool:
        return any(s.address <= address < s.address + s.bytes for s in self.sections)


def read(elf: Path, board: Board) -> Firmware:
    """Reads an ELF.

    Raises:
        RequestError: It cannot be read, or is no ELF; on macOS a firmware for the host is not.
    """
    # Here, because listing boards and loading models does without it.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            return Firmware(elf, board, file["e_entry"], _sections(file), *_symbols(file))
    except OSError as e:
        raise RequestError(f"cannot read {elf}: {e.strerror}", "build it again") from e
    except ELFError as e:
        if board.is_host:
            return Firmware(elf, board, 0, (), {}, ())
        # SCons takes what is there for what it made.
        raise RequestError(f"{elf} is no ELF file: {e}", f"rm {elf}; and build it again") from e


def _sections(file: ELFFile) -> tuple[Section, ...]:
    segments = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD"]
    found = []
    for section in file.iter_sections():
        # SHF_ALLOC; thread-local .tbss takes no memory of its own.
        if not section["sh_flags"] & 0x2 or section["sh_size"] == 0 or section.name == ".tbss":
            continue
        address, size = section["sh_addr"], section["sh_size"]
        shift = next(
            (
                s["p_paddr"] - s["p_vaddr"]
                for s in segments
                if s["p_vaddr"] <= address and address + size <= s["p_vaddr"] + s["p_memsz"]
            ),
            0,
        )
        stored = section["sh_type"] != "SHT_NOBITS"
        offset = section["sh_offset"]
        found.append(Section(section.name, address, address + shift, size, stored, offset))
    return tuple(sorted(found, key=lambda s: s.address))


def _symbols(file: ELFFile) -> tuple[dict[str, Symbol], tuple[Symbol, ...]]:
    from elftools.elf.sections import SymbolTableSection

    is_thumb = file["e_machine"] == "EM_ARM"
    named: dict[str, Symbol] = {}
    placed: dict[int, Symbol] = {}
    table = file.get_section_by_name(".symtab")
    for entry in table.iter_symbols() if isinstance(table, SymbolTableSection) else ():
        kind, section = entry["st_info"]["type"], entry["st_shndx"]
        # Without "$t" and "$d", which mark code and data, and names that a script defines.
        if not entry.name or entry.name.startswith("$") or isinstance(section, str):
            continue
        if kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE"):
            continue
        is_function = kind == "STT_FUNC"
        address = entry["st_value"] & ~_THUMB if is_function and is_thumb else entry["st_value"]
        symbol = Symbol(entry.name, address, entry["st_size"], is_function)
        named.setdefault(symbol.name, symbol)
        # Of aliases, the first; a label is nothing that a fault is named by.
        if kind != "STT_NOTYPE":
            placed.setdefault(address, symbol)
    return named, tuple(placed[address] for address in sorted(placed))


def _extent(ranges: list[tuple[int, int]], memory: Memory | None) -> int:
    """Bytes from the start of the memory to the end of the last range in it."""
    if memory is None:
        return sum(size for _, size in ranges)
    ends = [start + size for start, size in ranges if memory.origin <= start < memory.end]
    return max(ends, default=memory.origin) - memory.origin
