"""Boards and microcontrollers: `boards/**/*.toml` as dataclasses.

Facts are data. Every table that states facts about hardware has a `source`: the manual and the
register or section that says so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from . import cores, paths, tomldata
from .cores import Core, Fpu
from .errors import InputError

UartIp = Literal["stm32_usart_v1", "stm32_usart_v2", "stm32_lpuart", "nrf51_uart", "cmsdk_uart"]
GpioIp = Literal["stm32_gpio_v1", "stm32_gpio_v2"]
CounterIp = Literal["cortex", "nrf51_timer"]

_ADDRESS_SPACE = 1 << 32


def _about(text: str) -> dict[str, str]:
    return {"about": text}


def _fact(text: str, default: Any = ...) -> Any:
    """A field with its documentation, which error messages and the schema show."""
    if default is ...:
        return field(metadata=_about(text))
    return field(default=default, metadata=_about(text))


@dataclass(frozen=True)
class Memory:
    """A range of addresses: [origin, origin + bytes)."""

    name: str = _fact("the manual's name for it: flash, sram1, dtcm")
    kind: Literal["flash", "ram"] = _fact("flash holds code and constants, ram everything else")
    origin: int = _fact("first address")
    bytes: int = _fact("size")

    @property
    def end(self) -> int:
        return self.origin + self.bytes

    def __post_init__(self) -> None:
        if self.origin < 0 or self.bytes <= 0 or self.end > _ADDRESS_SPACE:
            raise ValueError(
                f"memory {self.name}: {self.bytes:#x} bytes at {self.origin:#x} are outside the "
                "32-bit address space"
            )
        if self.origin % 8 or self.bytes % 8:
            raise ValueError(f"memory {self.name}: origin and bytes must be multiples of 8")


@dataclass(frozen=True)
class Step:
    """One read-modify-write of a 32-bit register, before the console is used."""

    register: int = _fact("address")
    source: str = _fact("what it does, and the manual and register that say so")
    clear: int = _fact("bits to clear first", 0)
    set: int = _fact("bits to set then", 0)

    def __post_init__(self) -> None:
        if self.register % 4 or not 0 <= self.register < _ADDRESS_SPACE:
            raise ValueError(f"register {self.register:#x} is not a word-aligned 32-bit address")
        if not (0 <= self.clear < _ADDRESS_SPACE and 0 <= self.set < _ADDRESS_SPACE):
            raise ValueError(f"register {self.register:#x}: clear and set are 32-bit masks")


@dataclass(frozen=True)
class Uart:
    """A serial port of a microcontroller."""

    ip: UartIp = _fact("which driver: firmware_templates/common/uart_<ip>.c")
    address: int = _fact("of its first register")
    source: str = _fact("manual and section")
    enable: tuple[Step, ...] = _fact("switches its clock on", ())
    clock_hz: int = _fact("its kernel clock after reset, if it is not the processor's", 0)
    fifo: bool = _fact("has a FIFO to switch on (STM32 CR1.FIFOEN)", False)


@dataclass(frozen=True)
class Gpio:
    """The general-purpose I/O ports of an STM32: one register block a port, A first."""

    ip: GpioIp = _fact("v1 has CRL and CRH (F1), v2 has MODER and AFR (all later families)")
    address: int = _fact("of port A")
    source: str = _fact("manual and section")
    enable_register: int = _fact("the RCC register that switches the ports' clocks on")
    enable_bit: int = _fact("port A's bit in it; the other ports follow", 0)
    stride: int = _fact("distance from port to port", 0x400)


@dataclass(frozen=True)
class Counter:
    """What counts processor cycles."""

    ip: CounterIp = _fact("cortex: DWT CYCCNT where it counts, else SysTick")
    source: str = _fact("manual and section")
    address: int = _fact("of its first register, where it is a peripheral", 0)


@dataclass(frozen=True)
class Mcu:
    """A microcontroller: `boards/mcu/<name>.toml`."""

    name: str = _fact("the file's name: letters, digits, underscores")
    title: str = _fact("what people call it")
    core: str = _fact(f"one of {', '.join(cores.CORES)}")
    clock_hz: int = _fact("the processor's clock after reset, when nobody has set it up")
    interrupts: int = _fact("external interrupts in the vector table")
    source: str = _fact("the reference manual and data sheet that all the facts come from")
    memories: tuple[Memory, ...] = _fact("all that code and data may use")
    uarts: Mapping[str, Uart] = _fact("serial ports by the manual's name in lower case")
    fpu: Fpu = _fact("the floating-point unit it was made with", "none")
    gpio: Gpio | None = _fact("how pins are set up; none where they need no setting up", None)
    counter: Counter | None = _fact("what counts cycles, where it is not the core itself", None)
    setup: tuple[Step, ...] = _fact("register writes that come first, on every board", ())

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.core not in cores.CORES:
            near = difflib.get_close_matches(self.core, cores.CORES, 1)
            known = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown core {self.core!r}; {known}known: {', '.join(cores.CORES)}")
        if not 0 < self.clock_hz < _ADDRESS_SPACE:
            raise ValueError(f"clock_hz is {self.clock_hz}")
        if not 1 <= self.interrupts <= 480:
            raise ValueError(f"interrupts is {self.interrupts}; a Cortex-M has 1 to 480")
        _check_memories(self.memories)


@dataclass(frozen=True)
class Pin:
    """A pin and the alternate function that connects it to the port."""

    pin: str = _fact("PG7 (STM32) or P0.24 (Nordic)")
    function: int = _fact("alternate function number, where the part has them", 0)

    @property
    def port(self) -> int:
        """0 for port A or P0."""
        return ord(self.pin[1]) - ord("A") if self.pin[1].isalpha() else int(self.pin[1])

    @property
    def number(self) -> int:
        return int(self.pin[3:] if "." in self.pin else self.pin[2:])

    def __post_init__(self) -> None:
        if not re.fullmatch(r"P[A-Z]([0-9]|1[0-5])|P[01]\.([0-9]|[12][0-9]|3[01])", self.pin):
            raise ValueError(f"{self.pin!r} is not a pin; write PG7 or P0.24")
        if not 0 <= self.function <= 15:
            raise ValueError(f"pin {self.pin}: function is {self.function}; there are 0 to 15")


@dataclass(frozen=True)
class Console:
    """The serial port that the host talks to."""

    uart: str = _fact("one of the microcontroller's uarts")
    source: str = _fact("the board's manual: what the port is connected to")
    baud: int = _fact("bits per second; 8 data bits, no parity, 1 stop bit", 115_200)
    tx: Pin | None = _fact("the pin that the microcontroller sends on", None)
    rx: Pin | None = _fact("the pin that it receives on", None)


@dataclass(frozen=True)
class Qemu:
    """The QEMU machine that models the board."""

    machine: str = _fact("for qemu-system-arm -machine")
    serial: int = _fact("which of the machine's serial ports the console is, from 0", 0)
    clock_hz: int = _fact("the rate at which the machine counts cycles, if not the real one", 0)


@dataclass(frozen=True)
class _BoardFile:
    """A board: `boards/<name>/board.toml`."""

    name: str = _fact("the folder's name: letters, digits, underscores")
    title: str = _fact("what people call it")
    mcu: str = _fact("the name of a file in mcu/")
    console: Console = _fact("the serial port that the host talks to")
    unicorn: bool = _fact("runs in the embedded emulator", True)
    qemu: Qemu | None = _fact("runs in QEMU", None)
    stack_bytes: int = _fact("RAM that the linker keeps free for the stack, at least", 2048)
    setup: tuple[Step, ...] = _fact("register writes that this board needs", ())

    def __post_init__(self) -> None:
        _check_name(self.name)
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
        flash, ram: The memories that an image uses: the first flash, and the largest contiguous
            RAM, adjoining memories taken as one.
        setup: The microcontroller's register writes, then the board's own.
        runners: Names of the runners that can run its firmware, the preferred one first.
    """

    name: str
    title: str
    core: Core
    mcu: Mcu | None = None
    console: Console | None = None
    qemu: Qemu | None = None
    unicorn: bool = False
    stack_bytes: int = 2048
    setup: tuple[Step, ...] = ()

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
        return next(m for m in self.mcu.memories if m.kind == "flash")

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
    for folder in _search(folders):
        path = folder / name / "board.toml"
        if re.fullmatch(r"\w+", name) and path.is_file():
            return _read_board(path, folders)
    names = [HOST.name, *_board_paths(folders)]
    near = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "tinydeploy boards lists them"
    raise InputError(f"unknown board {name!r}", hint)


def all_boards(folders: Sequence[Path] = ()) -> tuple[Board, ...]:
    """Every board, by name, "host" last; a user's board hides a shipped one of the same name.

    Raises:
        InputError: A board's files are wrong.
    """
    found = _board_paths(folders)
    return (*(_read_board(found[name], folders) for name in sorted(found)), HOST)


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
        raise InputError(f"{path}: name is {data.name!r}, its folder is {path.parent.name!r}")
    mcu = _read_mcu(data.mcu, path, folders)
    if data.console.uart not in mcu.uarts:
        near = difflib.get_close_matches(data.console.uart, mcu.uarts, 1)
        raise InputError(
            f"{path}: console.uart is {data.console.uart!r}, which {mcu.name} does not have",
            f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(mcu.uarts)}",
        )
    core = cores.find(mcu.core, mcu.fpu)
    if data.unicorn and not core.unicorn_model:
        raise InputError(f"{path}: Unicorn has no {core.title}", "unicorn = false")
    return Board(
        name=data.name,
        title=data.title,
        core=core,
        mcu=mcu,
        console=data.console,
        qemu=data.qemu,
        unicorn=data.unicorn,
        stack_bytes=data.stack_bytes,
        setup=(*mcu.setup, *data.setup),
    )


def _read_mcu(name: str, user: Path, folders: Sequence[Path]) -> Mcu:
    """Reads the microcontroller that the board file `user` names."""
    names: list[str] = []
    for folder in _search(folders):
        path = folder / "mcu" / f"{name}.toml"
        if re.fullmatch(r"\w+", name) and path.is_file():
            mcu = tomldata.read(Mcu, path)
            if mcu.name != name:
                raise InputError(f"{path}: name is {mcu.name!r}, its file is {path.name!r}")
            cores.find(mcu.core, mcu.fpu)
            return mcu
        names += [p.stem for p in (folder / "mcu").glob("*.toml")]
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(names))}"
    raise InputError(f"{user}: unknown mcu {name!r}", hint)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise ValueError(
            f"name is {name!r}; use up to 48 lower-case letters, digits and underscores"
        )


def _check_memories(memories: tuple[Memory, ...]) -> None:
    for kind in ("flash", "ram"):
        if not any(m.kind == kind for m in memories):
            raise ValueError(f"there is no memory of kind {kind!r}")
    ordered = sorted(memories, key=lambda m: m.origin)
    for low, high in zip(ordered, ordered[1:], strict=False):
        if low.end > high.origin:
            raise ValueError(
                f"memories {low.name} ({low.origin:#x} to {low.end:#x}) and {high.name} "
                f"(from {high.origin:#x}) overlap"
            )


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
