"""A board: what it is made of, and what runs on it and writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from . import cores
from .bootblocks import vectors_offset
from .cores import Core
from .desk import FlashTool, Marker, Usb
from .mcu import Mcu, Memory, Step


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
