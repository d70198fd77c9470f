"""The bytes that a flash tool writes: an ELF's load segments, as Intel HEX and UF2."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import uf2
from .board import Board
from .errors import InputError, RequestError
from .mcu import is_name

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

ERASED = 0xFF  # what flash holds where nothing was written
_PAGE_BYTES = 256  # gaps smaller than the smallest page are written with the pages around them


@dataclass(frozen=True)
class Segment:
    """Bytes at an address of the flash."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        return self.address + len(self.data)


@dataclass(frozen=True)
class Image:
    """What goes into the flash, by address; segments do not overlap, and are a page apart."""

    segments: tuple[Segment, ...]

    def to_hex(self) -> str:
        """As Intel HEX."""
        from intelhex import IntelHex

        content = IntelHex()
        for segment in self.segments:
            content.puts(segment.address, segment.data)
        text = io.StringIO()
        content.write_hex_file(text, eolstyle="native")
        return text.getvalue()

    def to_uf2(self, family: int) -> bytes:
        """As UF2, for the boot loader of a family of microcontrollers."""
        return uf2.encode([(s.address, s.data) for s in self.segments], family)


def read(elf: Path, board: Board) -> Image:
    """What of an ELF goes into a board's flash.

    Raises:
        InputError: It is no ELF for a Cortex-M.
        RequestError: It has nothing for the flash of this board, or something for elsewhere.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            machine = file["e_machine"]
            named = _board_name(file)
            found = [
                Segment(s["p_paddr"], s.data())
                for s in file.iter_segments("PT_LOAD")
                if s["p_filesz"] > 0
            ]
    except OSError as error:
        raise InputError(f"cannot read {elf}: {error.strerror}") from error
    except ELFError as error:
        raise InputError(f"{elf} is no ELF file: {error}") from error
    if machine != "EM_ARM":
        raise InputError(f"{elf} is a program for {machine}, not for a Cortex-M")
    if is_name(named) and named != board.name:
        raise RequestError(f"{elf} is for {named}, not for {board.name}", f"--board {named}")
    _check(elf, board, found)
    return Image(_joined(found))


def _board_name(file: ELFFile) -> str:
    """The board that one of our firmwares was built for; "" where none is told."""
    from elftools.elf.sections import SymbolTableSection

    table = file.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return ""
    for symbol in table.get_symbol_by_name("td_board_name") or ():
        address, size = symbol["st_value"], symbol["st_size"]
        for segment in file.iter_segments("PT_LOAD"):
            start = address - segment["p_vaddr"]
            if 0 <= start < segment["p_filesz"]:
                text = segment.data()[start : start + size]
                return str(text.partition(b"\0")[0].decode("ascii", "replace"))
    return ""


def _check(elf: Path, board: Board, segments: list[Segment]) -> None:
    if board.flash is None or board.mcu is None:
        raise RequestError(f"{board.name} has no flash", "tinydeploy boards")
    if not segments:
        raise RequestError(f"{elf} holds nothing to write")
    others = [m for m in board.mcu.memories if m.kind == "flash" and m != board.mcu.flash]
    for segment in segments:
        places = (board.flash, *others)
        if not any(m.origin <= segment.address <= segment.end <= m.end for m in places):
            raise RequestError(
                f"{elf} has {segment.address:#010x} to {segment.end:#010x}, {board.name}'s flash "
                f"is {board.flash.origin:#010x} to {board.flash.end:#010x}",
                f"build it for this board: tinydeploy build MODEL --board {board.name}",
            )
    ordered = sorted(segments, key=lambda s: s.address)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.address:
            raise RequestError(f"two segments of {elf} share {high.address:#010x}")


def _joined(segments: list[Segment]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for segment in sorted(segments, key=lambda s: s.address):
        gap = segment.address - joined[-1].end if joined else _PAGE_BYTES
        if gap < _PAGE_BYTES:
            before = joined.pop()
            filling = bytes([ERASED]) * gap
            segment = Segment(before.address, before.data + filling + segment.data)
        joined.append(segment)
    return tuple(joined)
