"""Boards and microcontrollers: `boards/**/*.toml` as dataclasses.

Facts are data. Every table that states facts about hardware has a `source`: the manual and the
register or section that says so.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from . import cores, paths, tomldata
from .cores import Core, Fpu
from .errors import InputError

UartIp = Literal["stm32_usart_v1", "stm32_usart_v2", "stm32_lpuart", "nrf51_uart", "cmsdk_uart"]
GpioIp = Literal["stm32_gpio_v1", "stm32_gpio_v2", "nrf51_gpio"]
CounterIp = Literal["cortex", "nrf51_timer"]

_ADDRESS_SPACE = 1 << 32


@dataclass(frozen=True)
class Memory:
    """A range of addresses: [origin, origin + bytes)."""

    name: Annotated[str, "the manual's name for it: flash, sram1, dtcm"]
    kind: Annotated[Literal["flash", "ram"], "flash holds code and constants, ram everything else"]
    origin: Annotated[int, "first address"]
    bytes: Annotated[int, "size"]

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

    register: Annotated[int, "address"]
    source: Annotated[str, "what it does, and the manual and register that say so"]
    clear: Annotated[int, "bits to clear first"] = 0
    set: Annotated[int, "bits to set then"] = 0

    def __post_init__(self) -> None:
        if self.register % 4 or not 0 <= self.register < _ADDRESS_SPACE:
            raise ValueError(f"register {self.register:#x} is not a word-aligned 32-bit address")
        if not (0 <= self.clear < _ADDRESS_SPACE and 0 <= self.set < _ADDRESS_SPACE):
            raise ValueError(f"register {self.register:#x}: clear and set are 32-bit masks")


@dataclass(frozen=True)
class Uart:
    """A serial port of a microcontroller."""

    ip: Annotated[UartIp, "which driver: firmware_templates/common/uart_<ip>.c"]
    address: Annotated[int, "of its first register"]
    source: Annotated[str, "manual and section"]
    enable: Annotated[tuple[Step, ...], "switches its clock on"] = ()
    clock_hz: Annotated[int, "its kernel clock after reset, if it is not the processor's"] = 0
    fifo: Annotated[bool, "has a FIFO to switch on (STM32 CR1.FIFOEN)"] = False


@dataclass(frozen=True)
class Gpio:
    """The general-purpose I/O ports: one register block a port."""

    ip: Annotated[GpioIp, "stm32_gpio_v1 has CRL and CRH (F1), v2 MODER and AFR (later families)"]
    address: Annotated[int, "of port A (STM32) or 0 (Nordic)"]
    source: Annotated[str, "manual and section"]
    enable_register: Annotated[int, "the RCC register that switches the ports' clocks on"] = 0
    enable_bit: Annotated[int, "port A's bit in it; the other ports follow"] = 0
    stride: Annotated[int, "distance from port to port"] = 0x400


@dataclass(frozen=True)
class Counter:
    """What counts processor cycles."""

    ip: Annotated[CounterIp, "cortex: DWT CYCCNT where it counts, else SysTick"]
    source: Annotated[str, "manual and section"]
    address: Annotated[int, "of its first register, where it is a peripheral"] = 0


@dataclass(frozen=True)
class Mcu:
    """A microcontroller: `boards/mcu/<name>.toml`."""

    name: Annotated[str, "the file's name: letters, digits, underscores"]
    title: Annotated[str, "what people call it"]
    core: Annotated[str, f"one of {', '.join(cores.CORES)}"]
    clock_hz: Annotated[int, "the processor's clock after reset, when nobody has set it up"]
    interrupts: Annotated[int, "external interrupts in the vector table"]
    source: Annotated[str, "the reference manual and data sheet that all the facts come from"]
    memories: Annotated[tuple[Memory, ...], "all that code and data may use"]
    uarts: Annotated[Mapping[str, Uart], "serial ports by the manual's name in lower case"]
    fpu: Annotated[Fpu, "the floating-point unit it was made with"] = "none"
    gpio: Annotated[Gpio | None, "how pins are set up; none where they need no setting up"] = None
    counter: Annotated[Counter | None, "what counts cycles, where it is not the core itself"] = None
    setup: Annotated[tuple[Step, ...], "register writes that come first, on every board"] = ()

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

    pin: Annotated[str, "PG7 (STM32) or P0.24 (Nordic)"]
    function: Annotated[int, "alternate function number, where the part has them"] = 0

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

    uart: Annotated[str, "one of the microcontroller's uarts"]
    source: Annotated[str, "the board's manual: what the port is connected to"]
    baud: Annotated[int, "bits per second; 8 data bits, no parity, 1 stop bit"] = 115_200
    tx: Annotated[Pin | None, "the pin that the microcontroller sends on"] = None
    rx: Annotated[Pin | None, "the pin that it receives on"] = None


@dataclass(frozen=True)
class Qemu:
    """The QEMU machine that models the board."""

    machine: Annotated[str, "for qemu-system-arm -machine"]
    serial: Annotated[int, "which of the machine's serial ports the console is, from 0"] = 0
    clock_hz: Annotated[int, "the rate at which the machine counts cycles, if not the real one"] = 0


@dataclass(frozen=True)
class _BoardFile:
    """A board: `boards/<name>/board.toml`."""

    name: Annotated[str, "the folder's name: letters, digits, underscores"]
    title: Annotated[str, "what people call it"]
    mcu: Annotated[str, "the name of a file in mcu/"]
    console: Annotated[Console, "the serial port that the host talks to"]
    unicorn: Annotated[bool, "runs in the embedded emulator"] = True
    qemu: Annotated[Qemu | None, "runs in QEMU"] = None
    stack_bytes: Annotated[int, "RAM that the linker keeps free for the stack, at least"] = 2048
    setup: Annotated[tuple[Step, ...], "register writes that this board needs"] = ()

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
    for low, high in itertools.pairwise(ordered):
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


if __name__ == "__main__":  # python -m tinydeploy.boards > boards/board.schema.json
    print(json.dumps(schema(), indent=2))
