"""Microcontrollers: `boards/mcu/<name>.toml` as dataclasses.

Facts are data. Every table that states facts about hardware has a `source`: the manual and the
register or section that says so.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from . import cores
from .cores import Fpu

UartIp = Literal[
    "stm32_usart_v1", "stm32_usart_v2", "stm32_lpuart", "nrf51_uart", "cmsdk_uart", "pl011",
    "nrf_uarte", "nrf54_uarte", "sam_usart",
    "nxp_lpuart", "kinetis_uart", "lpc_flexcomm", "lpc_uart", "ns16550",
    "efr32_usart", "efr32s2_usart", "renesas_sci",
    "mspm0_uart", "max78_uart", "infineon_scb",
]  # fmt: skip
GpioIp = Literal["stm32_gpio_v1", "stm32_gpio_v2", "nrf51_gpio", "nrf53_gpio", "nrf54_gpio"]
WatchdogIp = Literal["kinetis"]
CounterIp = Literal["cortex", "nrf51_timer"]
BootIp = Literal[
    "rp2040_stage2", "rp2350_image_def", "imxrt_flexspi", "kinetis_fcf", "lpc_checksum",
    "ra_options", "psoc6_01_cm0", "psoc6_02_cm0",
]  # fmt: skip

_DIVIDED_OUTSIDE = ("infineon_scb",)

PORTS = 11  # of the part with most of them: A to K

_ADDRESS_SPACE = 1 << 32
# Peripherals and the system's own, by the Armv6-M to Armv8-M memory map: first address, end.
_REGISTERS = ((0x4000_0000, 0x6000_0000), (0xE000_0000, _ADDRESS_SPACE))
_MOST_CACHE_LINES = 512


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
        if any(self.origin < end and self.end > first for first, end in _REGISTERS):
            raise ValueError(
                f"memory {self.name}: {self.bytes:#x} bytes at {self.origin:#x} lie where Arm's "
                "memory map has registers: 0x40000000 to 0x60000000, and from 0xe0000000"
            )


@dataclass(frozen=True)
class Step:
    """One read-modify-write of a register, before the console is used.

    Nothing is written where `clear` and `set` are both 0. Steps that are `write_only` follow each
    other without any other access, as the feed and unlock sequences of some registers want it.
    """

    register: Annotated[int, "address"]
    source: Annotated[str, "what it does, and the manual and register that say so"]
    clear: Annotated[int, "bits to clear first"] = 0
    set: Annotated[int, "bits to set then"] = 0
    wait: Annotated[int, "bits to wait for then, until all are set or it took too long"] = 0
    bytes: Annotated[int, "the register's width, where it is not 4: 1 or 2"] = 4
    wait_clear: Annotated[int, "as wait, until none of them is set"] = 0
    pause: Annotated[int, "processor cycles to let pass then, at least"] = 0
    factory: Annotated[
        int, "where the factory left its value of the bits of `clear`; an address, 0 for none"
    ] = 0
    factory_shift: Annotated[int, "how many bits further to the left they are there"] = 0
    write_only: Annotated[bool, "set is written as it is, and nothing read before or after"] = False

    def __post_init__(self) -> None:
        if self.bytes not in (1, 2, 4):
            raise ValueError(f"register {self.register:#x}: bytes is {self.bytes}; use 1, 2 or 4")
        if self.bytes == 4:
            _check_register("register", self.register)
        elif self.register % self.bytes or not 0 <= self.register < _ADDRESS_SPACE:
            raise ValueError(
                f"register {self.register:#x} is not aligned to its {self.bytes} bytes"
            )
        masks = (self.clear, self.set, self.wait, self.wait_clear)
        if not all(0 <= mask < _ADDRESS_SPACE for mask in masks):
            raise ValueError(
                f"register {self.register:#x}: clear, set, wait and wait_clear are 32-bit masks"
            )
        if not 0 <= self.pause < 1 << 20:
            raise ValueError(f"register {self.register:#x}: pause is {self.pause}, use up to 2^20")
        _check_register("factory", self.factory)
        if not 0 <= self.factory_shift < 32:
            raise ValueError(f"factory_shift is {self.factory_shift}; use 0 to 31")
        if (self.factory or self.factory_shift) and not (self.factory and self.clear):
            raise ValueError(f"register {self.register:#x}: factory takes an address and clear")
        if self.write_only and (self.clear or self.waits):
            raise ValueError(
                f"register {self.register:#x} is write_only: it has register, set and source alone"
            )

    @property
    def waits(self) -> bool:
        """Whether it takes longer than its write."""
        return bool(self.wait or self.wait_clear or self.pause)


@dataclass(frozen=True)
class Uart:
    """A serial port of a microcontroller."""

    ip: Annotated[UartIp, "which driver: firmware_templates/common/uart_<ip>.c"]
    address: Annotated[int, "of its first register"]
    source: Annotated[str, "manual and section"]
    enable: Annotated[tuple[Step, ...], "switches its clock on"] = ()
    clock_hz: Annotated[int, "its kernel clock after reset, if it is not the processor's"] = 0
    rated_hz: Annotated[int, "its kernel clock at the rated speed, if it is not clock.hz"] = 0
    fifo: Annotated[bool, "has a FIFO to switch on (STM32 CR1.FIFOEN)"] = False
    control: Annotated[int, "further bits of its control register: Apollo's clock, SAM's pads"] = 0
    divider: Annotated[int, "address of the divider of its clock, where that is not its own"] = 0

    def __post_init__(self) -> None:
        _check_register("address", self.address)
        _check_register("divider", self.divider)
        if (self.ip in _DIVIDED_OUTSIDE) != bool(self.divider):
            which = "no divider but its own" if self.divider else "none of its own; say its divider"
            raise ValueError(f"{self.ip} has {which}")
        for name, hz in (("clock_hz", self.clock_hz), ("rated_hz", self.rated_hz)):
            if not 0 <= hz < _ADDRESS_SPACE:
                raise ValueError(f"{name} is {hz}")
        if not 0 <= self.control < _ADDRESS_SPACE:
            raise ValueError(f"control is {self.control}, no 32-bit mask")


@dataclass(frozen=True)
class Clock:
    """How the processor comes to the speed it is rated for.

    The steps come after the microcontroller's own set-up, before the board's and the console's.
    Where one waits in vain (a part without the oscillator, an emulator without a model of it) the
    rest is left out, and all runs on at the speed after reset: so the last step that waits is the
    one that switches over.
    """

    hz: Annotated[int, "the processor's clock then"]
    source: Annotated[str, "manual and section that allow this speed"]
    steps: Annotated[tuple[Step, ...], "supply, wait states of the flash, PLL, switching over"]

    def __post_init__(self) -> None:
        if not 0 < self.hz < _ADDRESS_SPACE:
            raise ValueError(f"hz is {self.hz}")
        if not self.steps:
            raise ValueError("there are no steps")


@dataclass(frozen=True)
class Boot:
    """What the boot ROM, or the flash's own settings, want beside the vector table."""

    ip: Annotated[BootIp, "which: see tinydeploy/bootblocks.py"]
    source: Annotated[str, "manual and section"]


@dataclass(frozen=True)
class Gpio:
    """The general-purpose I/O ports: one register block a port."""

    ip: Annotated[GpioIp, "stm32_gpio_v1 has CRL and CRH (F1), v2 MODER and AFR (later families)"]
    address: Annotated[int, "of port A (STM32) or 0 (Nordic)"]
    source: Annotated[str, "manual and section"]
    enable_register: Annotated[int, "the RCC register that switches the ports' clocks on"] = 0
    enable_bit: Annotated[int, "port A's bit in it; the other ports follow"] = 0
    stride: Annotated[int, "distance from port to port"] = 0x400
    ports: Annotated[tuple[int, ...], "each port's address, where the distances differ"] = ()

    @property
    def is_nordic(self) -> bool:
        return self.ip.startswith("nrf")

    def port(self, number: int) -> int:
        """The address of a port, by its number."""
        return self.ports[number] if self.ports else self.address + number * self.stride

    def __post_init__(self) -> None:
        _check_register("address", self.address)
        _check_register("enable_register", self.enable_register)
        _check_register("stride", self.stride)
        if self.address + PORTS * self.stride + 0x1000 > _ADDRESS_SPACE:
            raise ValueError(f"ports from {self.address:#x} on are outside the address space")
        if not 0 <= self.enable_bit <= 32 - PORTS:
            raise ValueError(f"enable_bit is {self.enable_bit}; use 0 to {32 - PORTS}")
        for port in self.ports:
            _check_register("ports", port)
        if not self.is_nordic and not self.enable_register:
            raise ValueError(f"a port of {self.ip} needs its enable_register")


@dataclass(frozen=True)
class Counter:
    """What counts processor cycles."""

    ip: Annotated[CounterIp, "cortex: DWT CYCCNT where it counts, else SysTick"]
    source: Annotated[str, "manual and section"]
    address: Annotated[int, "of its first register, where it is a peripheral"] = 0

    def __post_init__(self) -> None:
        _check_register("address", self.address)
        if self.ip != "cortex" and not self.address:
            raise ValueError(f"a {self.ip} needs its address")


@dataclass(frozen=True)
class Watchdog:
    """A watchdog that runs after reset, and is switched off by more than register writes."""

    ip: Annotated[WatchdogIp, "firmware_templates/common/watchdog_<ip>.c"]
    address: Annotated[int, "of its first register"]
    source: Annotated[str, "manual and section"]

    def __post_init__(self) -> None:
        _check_register("address", self.address)


@dataclass(frozen=True)
class Trim:
    """Pairs of an address and a value, measured at the factory, to be copied after reset."""

    address: Annotated[int, "of the first pair; an address that is erased or 0 ends them"]
    pairs: Annotated[int, "at most"]
    source: Annotated[str, "manual and register"]

    def __post_init__(self) -> None:
        _check_register("address", self.address)
        if not 0 < self.pairs <= 256:
            raise ValueError(f"pairs is {self.pairs}; use 1 to 256")


@dataclass(frozen=True)
class FlashTiming:
    """How the flash slows the core down, for estimates of time."""

    wait_states: Annotated[int, "cycles that a read takes beyond one, at the rated speed"]
    read_bytes: Annotated[int, "what one read of the flash brings"]
    source: Annotated[str, "manual and section"]
    line_bytes: Annotated[int, "of the caches' lines; read_bytes if not given"] = 0
    instruction_cache_bytes: Annotated[int, "0: what was read last is all that is kept"] = 0
    data_cache_bytes: Annotated[int, "for constants; 0 likewise"] = 0
    prefetch: Annotated[bool, "code behind a read is read before it is needed"] = False

    def __post_init__(self) -> None:
        if not 0 <= self.wait_states <= 64:
            raise ValueError(f"wait_states is {self.wait_states}; use 0 to 64")
        lines = (self.read_bytes, self.line_bytes or self.read_bytes)
        if any(size not in (4, 8, 16, 32, 64, 128) for size in lines) or lines[1] < lines[0]:
            raise ValueError(
                f"read_bytes is {lines[0]} and line_bytes {lines[1]}; use powers of two from 4 "
                "to 128, a line not less than a read"
            )
        for size in (self.instruction_cache_bytes, self.data_cache_bytes):
            if size % lines[1] or not 0 <= size <= _MOST_CACHE_LINES * lines[1]:
                raise ValueError(
                    f"a cache of {size} bytes does not have 0 to {_MOST_CACHE_LINES} lines of "
                    f"{lines[1]}"
                )


@dataclass(frozen=True)
class Mcu:
    """A microcontroller: `boards/mcu/<name>.toml`."""

    name: Annotated[str, "the file's name: letters, digits, underscores"]
    title: Annotated[str, "what people call it"]
    core: Annotated[str, f"one of {', '.join(cores.CORES)}"]
    clock_hz: Annotated[int, "the processor's clock after reset, when nobody has set it up"]
    interrupts: Annotated[int, "external interrupts in the vector table"]
    source: Annotated[str, "the reference manual and data sheet that all the facts come from"]
    memories: Annotated[
        tuple[Memory, ...], "all in it that code and data may use; its flash may be the board's"
    ]
    uarts: Annotated[Mapping[str, Uart], "serial ports by the manual's name in lower case"]
    fpu: Annotated[Fpu, "the floating-point unit it was made with"] = "none"
    gpio: Annotated[Gpio | None, "how pins are set up; none where they need no setting up"] = None
    counter: Annotated[Counter | None, "what counts cycles, where it is not the core itself"] = None
    setup: Annotated[
        tuple[Step, ...], "register writes that come first, on every board, before the clock"
    ] = ()
    watchdog: Annotated[Watchdog | None, "what must be switched off first"] = None
    trim: Annotated[Trim | None, "what the start-up must copy for the part to be in tune"] = None
    clock: Annotated[Clock | None, "its rated speed, where reset leaves it slower"] = None
    boot: Annotated[Boot | None, "what its boot ROM wants in the flash"] = None
    flash_timing: Annotated[
        FlashTiming | None, "for estimates of time; none where the flash keeps up with the core"
    ] = None

    def __post_init__(self) -> None:
        check_names(self.name, self.title)
        if self.core not in cores.CORES:
            near = difflib.get_close_matches(self.core, cores.CORES, 1)
            known = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown core {self.core!r}; {known}known: {', '.join(cores.CORES)}")
        if not 0 < self.clock_hz < _ADDRESS_SPACE:
            raise ValueError(f"clock_hz is {self.clock_hz}")
        if not 1 <= self.interrupts <= 480:
            raise ValueError(f"interrupts is {self.interrupts}; a Cortex-M has 1 to 480")
        check_memories(self.memories, ("ram",))
        flash = next((m for m in self.memories if m.kind == "flash"), None)
        if flash is not None and flash.origin % self.vectors_alignment:
            raise ValueError(
                f"memory {flash.name} begins at {flash.origin:#x}; a vector table of "
                f"{16 + self.interrupts} words must be at a multiple of {self.vectors_alignment:#x}"
            )

    @property
    def flash(self) -> Memory:
        """The memory that images begin in."""
        return next(m for m in self.memories if m.kind == "flash")

    @property
    def vectors_alignment(self) -> int:
        """What the address of a vector table must be a multiple of, in bytes."""
        return 1 << (4 * (16 + self.interrupts) - 1).bit_length()

    @property
    def rated_hz(self) -> int:
        """The processor's clock when all went well."""
        return self.clock.hz if self.clock else self.clock_hz


def is_name(text: str) -> bool:
    """Whether it may be the name of a board or microcontroller: a file's name, a C identifier."""
    return re.fullmatch(r"[a-z][a-z0-9_]{0,47}", text) is not None


def check_names(name: str, title: str) -> None:
    """Raises ValueError for a name that is no identifier, or a title of more than a line."""
    if not is_name(name):
        raise ValueError(
            f"name is {name!r}; use up to 48 lower-case letters, digits and underscores"
        )
    if not title or not title.isprintable():
        raise ValueError(f"title is {title!r}; use one line of printable characters")


def _check_register(what: str, address: int) -> None:
    if address % 4 or not 0 <= address < _ADDRESS_SPACE:
        raise ValueError(f"{what} {address:#x} is not a word-aligned 32-bit address")


def check_memories(
    memories: tuple[Memory, ...], kinds: tuple[Literal["flash", "ram"], ...]
) -> None:
    """Raises ValueError where a kind of memory is missing, or two overlap."""
    for kind in kinds:
        if not any(m.kind == kind for m in memories):
            raise ValueError(f"there is no memory of kind {kind!r}")
    ordered = sorted(memories, key=lambda m: m.origin)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.origin:
            raise ValueError(
                f"memories {low.name} ({low.origin:#x} to {low.end:#x}) and {high.name} "
                f"(from {high.origin:#x}) overlap"
            )
