"""Boards: `boards/<name>/board.toml` as dataclasses, and how they are found."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from . import cores, paths, tomldata
from .bootblocks import vectors_offset
from .cores import Core
from .desk import FlashTool, Marker, Usb, Write
from .errors import InputError
from .mcu import (
    Boot,
    Clock,
    Counter,
    Gpio,
    Mcu,
    Memory,
    Step,
    Uart,
    check_memories,
    check_names,
    is_name,
)
from .tomldata import place

__all__ = [
    "HOST",
    "Board",
    "Boot",
    "Console",
    "Counter",
    "FlashTool",
    "Gpio",
    "Marker",
    "Mcu",
    "Memory",
    "Pin",
    "Qemu",
    "RenodePlatform",
    "Step",
    "Uart",
    "Usb",
    "Write",
    "all_boards",
    "load",
    "schema",
]


@dataclass(frozen=True)
class Pin:
    """A pin and the alternate function that connects it to the port."""

    pin: Annotated[str, "PG7 (STM32) or P0.24 (Nordic)"]
    function: Annotated[int, "alternate function number, where the part has them"] = 0

    @property
    def port(self) -> int:
        """0 for port A or P0."""
        return ord(self.pin[1]) - ord("A") if self.pin[1].isalpha() else int(self.pin[1])

    @property
    def number(self) -> int:
        return int(self.pin[3:] if "." in self.pin else self.pin[2:])

    @property
    def is_nordic(self) -> bool:
        return "." in self.pin

    def __post_init__(self) -> None:
        if not re.fullmatch(r"P[A-K]([0-9]|1[0-5])|P[0-3]\.(0?[0-9]|[12][0-9]|3[01])", self.pin):
            raise ValueError(f"{self.pin!r} is not a pin; write PG7 or P0.24")
        if not 0 <= self.function <= 15:
            raise ValueError(f"pin {self.pin}: function is {self.function}; there are 0 to 15")


@dataclass(frozen=True)
class Console:
    """The serial port that the host talks to."""

    uart: Annotated[str, "one of the microcontroller's uarts"]
    source: Annotated[str, "the board's manual: what the port is connected to"]
    baud: Annotated[int, "bits per second; 8 data bits, no parity, 1 stop bit"] = 115_200
    tx: Annotated[Pin | None, "the pin that the microcontroller sends on"] = None
    rx: Annotated[Pin | None, "the pin that it receives on"] = None
    rated_hz: Annotated[int, "the port's kernel clock with the board's own [clock]"] = 0

    def __post_init__(self) -> None:
        if not 300 <= self.baud <= 4_000_000:
            raise ValueError(f"baud is {self.baud}; use 300 to 4000000, such as 115200")
        if not 0 <= self.rated_hz < 1 << 32:
            raise ValueError(f"rated_hz is {self.rated_hz}")


@dataclass(frozen=True)
class Qemu:
    """The QEMU machine that models the board."""

    machine: Annotated[str, "for qemu-system-arm -machine"]
    serial: Annotated[int, "which of the machine's serial ports the console is, from 0"] = 0
    clock_hz: Annotated[int, "the rate at which the machine counts cycles, if not the real one"] = 0

    def __post_init__(self) -> None:
        if not 0 <= self.serial < 16:
            raise ValueError(f"serial is {self.serial}; QEMU's ports are 0 to 15")
        if not 0 <= self.clock_hz < 1 << 32:
            raise ValueError(f"clock_hz is {self.clock_hz}")


@dataclass(frozen=True)
class RenodePlatform:
    """One of Renode's own platforms, in the place of the generated one."""

    platform: Annotated[str, "@platforms/boards/stm32f4_discovery-kit.repl"]
    uart: Annotated[str, "its name of the console: usart2"]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"@[\w./+-]+\.repl", self.platform):
            raise ValueError(
                f"platform is {self.platform!r}; write @platforms/boards/NAME.repl, without spaces"
            )
        if not re.fullmatch(r"\w+(\.\w+)*", self.uart):
            raise ValueError(f"uart is {self.uart!r}; write a name such as usart2")


@dataclass(frozen=True)
class _BoardFile:
    """A board: `boards/<name>/board.toml`."""

    name: Annotated[str, "the folder's name: letters, digits, underscores"]
    title: Annotated[str, "what people call it"]
    mcu: Annotated[str, "the name of a file in mcu/"]
    console: Annotated[Console, "the serial port that the host talks to"]
    unicorn: Annotated[bool, "runs in the embedded emulator"] = True
    qemu: Annotated[Qemu | None, "runs in QEMU"] = None
    renode: Annotated[RenodePlatform | None, "one of Renode's own platforms, if preferred"] = None
    usb: Annotated[Usb | None, "the USB device that the console comes out of"] = None
    flash: Annotated[tuple[FlashTool, ...], "what can write its flash, the default first"] = ()
    bootloader_bytes: Annotated[int, "of the flash's start that its boot loader keeps"] = 0
    stack_bytes: Annotated[int, "RAM that the linker keeps free for the stack, at least"] = 2048
    clock: Annotated[Clock | None, "in the place of its chip's, from a crystal of the board"] = None
    setup: Annotated[tuple[Step, ...], "register writes that this board needs"] = ()
    marker: Annotated[Marker | None, "a pin for instruments, used by MLPerf's energy mode"] = None
    memories: Annotated[
        tuple[Memory, ...], "soldered on the board: an image uses them before the chip's own"
    ] = ()

    def __post_init__(self) -> None:
        check_names(self.name, self.title)
        if self.stack_bytes < 256 or self.stack_bytes % 8:
            raise ValueError(f"stack_bytes is {self.stack_bytes}; at least 256, a multiple of 8")


@dataclass(frozen=True)
class Board:
    """A board with its microcontroller. "host" has neither memories nor console.

    Attributes:
        name: "nucleo_l4r5zi".
        title: "NUCLEO-L4R5ZI".
        core: Its processor core, with compiler flags.
        mcu: None for the host alone; so are `console`, `flash` and `ram`.
        flash, ram: The memories that an image uses: the first flash behind its boot loader, and
            the largest contiguous RAM, adjoining memories taken as one.
        setup: The board's own register writes; the microcontroller's come before the clock.
        bootloader_bytes: What the board's boot loader keeps of the start of the first flash.
        usb: The USB device that the console comes out of; None where there is none.
        flash_tools: What can write its flash, the default first.
        runners: Names of the runners that can run its firmware, the preferred one first.
    """

    name: str
    title: str
    core: Core
    mcu: Mcu | None = None
    console: Console | None = None
    qemu: Qemu | None = None
    renode: RenodePlatform | None = None
    unicorn: bool = False
    stack_bytes: int = 2048
    bootloader_bytes: int = 0
    setup: tuple[Step, ...] = ()
    marker: Marker | None = None
    usb: Usb | None = None
    flash_tools: tuple[FlashTool, ...] = ()

    @property
    def is_host(self) -> bool:
        return self.core.is_host

    @property
    def runners(self) -> tuple[str, ...]:
        if self.is_host:
            return ("host",)
        return ("unicorn",) * self.unicorn + ("qemu",) * (self.qemu is not None)

    @cached_property
    def flash(self) -> Memory | None:
        if self.mcu is None:
            return None
        first, kept = self.mcu.flash, self.bootloader_bytes
        return replace(first, origin=first.origin + kept, bytes=first.bytes - kept)

    @property
    def vectors(self) -> int:
        """The address of the vector table: the flash's start, or behind the boot ROM's blocks."""
        assert self.mcu is not None
        assert self.flash is not None
        return self.flash.origin + vectors_offset(self.mcu.boot)

    @cached_property
    def ram(self) -> Memory | None:
        if self.mcu is None:
            return None
        return max(_contiguous_ram(self.mcu.memories), key=lambda m: m.bytes)


HOST = Board("host", "this machine", cores.HOST)


def load(name: str, folders: Sequence[Path] = ()) -> Board:
    """The board of that name.

    Args:
        name: "nucleo_l4r5zi", or "host".
        folders: The user's own, searched first; each is laid out like `boards/`. A board in them
            may use a shipped microcontroller.

    Returns:
        The board.

    Raises:
        InputError: No such board, or its files are wrong.
    """
    if name == HOST.name:
        return HOST
    return _read_board(path_of(name, folders), folders)


def path_of(name: str, folders: Sequence[Path] = ()) -> Path:
    """The board.toml of a board; `host` has none.

    Raises:
        InputError: No such board.
    """
    for folder in _search(folders):
        path = folder / name / "board.toml"
        if is_name(name) and path.is_file():
            return path
    names = [HOST.name, *_board_paths(folders)]
    near = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "tinydeploy boards lists them"
    raise InputError(f"unknown board {name!r:.60}", hint)


def all_boards(folders: Sequence[Path] = ()) -> tuple[Board, ...]:
    """Every board, by name, "host" last; a user's board hides a shipped one of the same name.

    Raises:
        InputError: A board's files are wrong.
    """
    found = _board_paths(folders)
    return (*(_read_board(found[name], folders) for name in sorted(found)), HOST)


def load_mcu(name: str, folders: Sequence[Path] = ()) -> Mcu:
    """The microcontroller of that name; its flash may be left to the board.

    Raises:
        InputError: No such microcontroller, or its file is wrong.
    """
    return _read_mcu(name, Path("--mcu"), folders)


def table(folders: Sequence[Path] = ()) -> list[list[str]]:
    """A row a board, as docs/boards.md shows them."""
    from .report.terminal import size

    rows = []
    for board in all_boards(folders):
        memories = ["", ""]
        if board.flash is not None and board.ram is not None:
            memories = [size(board.flash.bytes), size(board.ram.bytes)]
        runners = ", ".join(board.runners) or "none"
        rows.append([f"`{board.name}`", board.title, board.core.title, *memories, runners])
    return rows


def schema() -> dict[str, Any]:
    """The JSON schema of a board's and a microcontroller's file (boards/board.schema.json)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A board (boards/<name>/board.toml) or a microcontroller (boards/mcu/<name>.toml)",
        "anyOf": [{"$ref": "#/$defs/Board"}, {"$ref": "#/$defs/Mcu"}],
        "$defs": tomldata.definitions({"Board": _BoardFile, "Mcu": Mcu}),
    }


def _search(folders: Sequence[Path]) -> tuple[Path, ...]:
    return (*folders, paths.data("boards"))


def _board_paths(folders: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in _search(folders):
        for path in sorted(folder.glob("*/board.toml")):
            found.setdefault(path.parent.name, path)
    return found


def _read_board(path: Path, folders: Sequence[Path]) -> Board:
    data = tomldata.read(_BoardFile, path)
    if data.name != path.parent.name:
        raise InputError(
            f"{place(path, 'name')}: name is {data.name!r}, its folder is {path.parent.name!r}"
        )
    mcu = _with_memories(path, data, _read_mcu(data.mcu, path, folders))
    _check_console(path, data.console, mcu)
    mcu = _with_clock(path, data, mcu)
    _check_bootloader(path, data.bootloader_bytes, mcu)
    core = cores.find(mcu.core, mcu.fpu)
    if data.unicorn and not core.unicorn_model:
        raise InputError(f"{place(path, 'mcu')}: Unicorn has no {core.title}", "unicorn = false")
    return Board(
        name=data.name,
        title=data.title,
        core=core,
        mcu=mcu,
        console=data.console,
        qemu=data.qemu,
        renode=data.renode,
        unicorn=data.unicorn,
        stack_bytes=data.stack_bytes,
        bootloader_bytes=data.bootloader_bytes,
        setup=data.setup,
        marker=data.marker,
        usb=data.usb,
        flash_tools=data.flash,
    )


def _check_bootloader(path: Path, kept: int, mcu: Mcu) -> None:
    at, step = place(path, "bootloader_bytes"), mcu.vectors_alignment
    if kept and (not 0 < kept < mcu.flash.bytes or kept % step):
        raise InputError(
            f"{at}: bootloader_bytes is {kept:#x}, {mcu.title}'s flash has {mcu.flash.bytes:#x} "
            f"bytes; its vector table must be at a multiple of {step:#x}"
        )
    if kept and not cores.find(mcu.core, mcu.fpu).has_vtor:
        raise InputError(
            f"{at}: {mcu.title} has its vectors at the start of its "
            f"flash; bootloader_bytes is {kept:#x}"
        )


def _with_memories(path: Path, data: _BoardFile, mcu: Mcu) -> Mcu:
    """The microcontroller with the board's memories before its own."""
    memories, at = (*data.memories, *mcu.memories), place(path, "memories", "0")
    try:
        check_memories(memories, ("flash", "ram"))
    except ValueError as error:
        hint = "describe it under [[memories]], here or in the mcu's file"
        raise InputError(f"{at}: {error}", hint) from error
    mcu = replace(mcu, memories=memories)
    start = mcu.flash.origin + vectors_offset(mcu.boot)
    if start % mcu.vectors_alignment:
        raise InputError(
            f"{at}: the vectors begin at {start:#x} in {mcu.flash.name}; a table of "
            f"{16 + mcu.interrupts} words must be at a multiple of {mcu.vectors_alignment:#x}"
        )
    return mcu


def _with_clock(path: Path, data: _BoardFile, mcu: Mcu) -> Mcu:
    """The microcontroller with the board's way to its rated speed, if it has one."""
    name, rated_hz = data.console.uart, data.console.rated_hz
    if data.clock is None:
        if rated_hz:
            raise InputError(
                f"{place(path, 'console', 'rated_hz')}: console.rated_hz is {rated_hz}, and there "
                "is no [clock] here",
                "leave it out: the microcontroller's clock has its uart's rated_hz",
            )
        return mcu
    uart = replace(mcu.uarts[name], rated_hz=rated_hz)
    return replace(mcu, clock=data.clock, uarts={**mcu.uarts, name: uart})


def _check_console(path: Path, console: Console, mcu: Mcu) -> None:
    at = place(path, "console", "tx")
    if console.uart not in mcu.uarts:
        near = difflib.get_close_matches(console.uart, mcu.uarts, 1)
        raise InputError(
            f"{place(path, 'console', 'uart')}: console.uart is {console.uart!r}, which {mcu.name} "
            "does not have",
            f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(mcu.uarts)}",
        )
    pins = [pin for pin in (console.tx, console.rx) if pin is not None]
    nordic = mcu.gpio is not None and mcu.gpio.is_nordic
    if mcu.gpio is None and pins:
        raise InputError(
            f"{at}: console has pins, but {mcu.name} has no [gpio] to set them up with",
            "leave out tx and rx, or describe its [gpio]",
        )
    if mcu.gpio is not None and (len(pins) < 2 or any(p.is_nordic != nordic for p in pins)):
        example = ("P0.24", "P0.25") if nordic else ("PG7", "PG8")
        raise InputError(
            f"{at}: console needs the pins tx and rx, as {mcu.title} names them",
            'tx = {{ pin = "{}" }}, rx = {{ pin = "{}" }}'.format(*example),
        )
    if mcu.gpio is not None and mcu.gpio.ports and max(p.port for p in pins) >= len(mcu.gpio.ports):
        raise InputError(f"{at}: {mcu.title} has only {len(mcu.gpio.ports)} ports, from P0 on")


def _read_mcu(name: str, user: Path, folders: Sequence[Path]) -> Mcu:
    """Reads the microcontroller that the board file `user` names."""
    names: list[str] = []
    for folder in _search(folders):
        path = folder / "mcu" / f"{name}.toml"
        if is_name(name) and path.is_file():
            mcu = tomldata.read(Mcu, path)
            if mcu.name != name:
                raise InputError(
                    f"{place(path, 'name')}: name is {mcu.name!r}, its file is {path.name!r}"
                )
            cores.find(mcu.core, mcu.fpu)
            return mcu
        names += [p.stem for p in (folder / "mcu").glob("*.toml")]
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(names))}"
    raise InputError(f"{place(user, 'mcu')}: unknown mcu {name!r:.60}", hint)


def _contiguous_ram(memories: tuple[Memory, ...]) -> list[Memory]:
    """The RAMs, those that adjoin taken as one."""
    joined: list[Memory] = []
    for memory in sorted((m for m in memories if m.kind == "ram"), key=lambda m: m.origin):
        if joined and joined[-1].end == memory.origin:
            low = joined.pop()
            names = f"{low.name}+{memory.name}"
            memory = Memory(names, "ram", low.origin, low.bytes + memory.bytes)
        joined.append(memory)
    return joined


if __name__ == "__main__":
    # python -m tinydeploy.boards > boards/board.schema.json; with --table, docs/boards.md's rows
    if sys.argv[1:] == ["--table"]:
        print("\n".join(f"| {' | '.join(row)} |" for row in table()))
    else:
        print(json.dumps(schema(), indent=2))
