"""A board on the desk: its USB serial port, what writes its flash, a pin for instruments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from . import uf2
from .mcu import Step

ToolName = Literal[
    "pyocd", "openocd", "stlink", "jlink", "picotool", "uf2", "dfu", "bossac", "nrfutil", "teensy"
]

# What each tool must be told, and what it may be told.
KEYS: Mapping[ToolName, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pyocd": (("target",), ("pack",)),
    "openocd": (("target", "interface"), ()),
    "stlink": ((), ()),
    "jlink": (("target",), ()),
    "picotool": ((), ()),
    "uf2": (("family", "volume"), ()),
    "dfu": (("usb",), ("plain",)),
    "bossac": (("offset",), ()),
    "nrfutil": ((), ()),
    "teensy": (("target",), ()),
}


_ARGUMENT = r"([A-Za-z0-9_][A-Za-z0-9_.:/ +-]*)?"


@dataclass(frozen=True)
class Usb:
    """The USB device whose serial port the console is connected to."""

    ids: Annotated[tuple[str, ...], "vendor and product, hexadecimal: 0483:374b"]
    source: Annotated[str, "where that is said"]
    reset: Annotated[
        Literal["none", "dtr", "break"],
        "what on the port resets the microcontroller: DTR released and set, or a break",
    ] = "none"

    def __post_init__(self) -> None:
        if not self.ids:
            raise ValueError("ids is empty; leave [usb] out for a board without a port of its own")
        for name in self.ids:
            _check_usb(name)


@dataclass(frozen=True)
class FlashTool:
    """A tool that can write the board's flash, and what it calls the board."""

    tool: Annotated[ToolName, "its name"]
    target: Annotated[
        str, "pyocd: its target; openocd: target/….cfg; jlink: its device; teensy: its mcu"
    ] = ""
    pack: Annotated[str, "pyocd: the CMSIS pack that has the target, where pyOCD has not"] = ""
    interface: Annotated[str, "openocd: interface/….cfg"] = ""
    family: Annotated[str, "uf2: a family of uf2.FAMILIES, such as RP2040"] = ""
    volume: Annotated[str, "uf2: the label of the board's drive"] = ""
    usb: Annotated[str, "dfu: the boot loader's vendor and product, hexadecimal: 0483:df11"] = ""
    plain: Annotated[bool, "dfu: its boot loader knows no addresses (ST's extension)"] = False
    offset: Annotated[
        int | None, "bossac: where the image goes, as its boot loader counts; on SAMD behind itself"
    ] = None

    def __post_init__(self) -> None:
        required, optional = KEYS[self.tool]
        for key in ("target", "pack", "interface", "family", "volume", "usb", "plain", "offset"):
            value: str | int | None = getattr(self, key)
            if key in required and value in ("", None):
                raise ValueError(f"{self.tool} needs {key}")
            if value and key not in required + optional:
                raise ValueError(f"{self.tool} has no use for {key}")
            # They become arguments of programs: no quotes, no braces, no option.
            if isinstance(value, str) and not re.fullmatch(_ARGUMENT, value):
                raise ValueError(f"{key} is {value!r}")
        if self.usb:
            _check_usb(self.usb)
        if self.family and self.family not in uf2.FAMILIES:
            near = difflib.get_close_matches(self.family.upper(), uf2.FAMILIES, 3)
            known = " or ".join(near) or ", ".join(uf2.FAMILIES)
            raise ValueError(f"unknown UF2 family {self.family!r}; did you mean {known}?")
        if not 0 <= (self.offset or 0) < 1 << 24:
            raise ValueError(f"offset is {self.offset}")


@dataclass(frozen=True)
class Write:
    """A value for a register."""

    register: Annotated[int, "address"]
    value: Annotated[int, "what is written, all 32 bits"]

    def __post_init__(self) -> None:
        if self.register % 4 or not 0 <= self.register < 1 << 32:
            raise ValueError(f"register {self.register:#x} is not a word-aligned 32-bit address")
        if not 0 <= self.value < 1 << 32:
            raise ValueError(f"register {self.register:#x}: {self.value:#x} is no 32-bit value")


@dataclass(frozen=True)
class Marker:
    """A pin whose falling edge tells an instrument when a measured run begins and ends."""

    low: Annotated[Write, "drives it low"]
    high: Annotated[Write, "drives it high, as it idles"]
    setup: Annotated[tuple[Step, ...], "makes it an output; each clears and sets bits"]
    source: Annotated[str, "the board's manual: where the pin is"]

    def __post_init__(self) -> None:
        if any(step.waits or step.bytes != 4 for step in self.setup):
            raise ValueError("its setup clears and sets bits of words, and waits for nothing")

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its setup, and the two registers, left as they are."""
        ends = (Step(write.register, self.source) for write in (self.low, self.high))
        return (*self.setup, *ends)


def usb_numbers(name: str) -> tuple[int, int]:
    """Vendor and product of "0483:374b"."""
    vendor, _, product = name.partition(":")
    return int(vendor, 16), int(product, 16)


def _check_usb(name: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", name):
        raise ValueError(f"{name!r} is no USB device; write 0483:374b")
