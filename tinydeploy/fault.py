"""What a Cortex-M says when it takes a fault, in words."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_WORDS = struct.Struct("<12I")

# Bits of CFSR; Source: Armv7-M Architecture Reference Manual (DDI 0403), B3.2.15.
_CFSR_CAUSES = (
    (1 << 0, "instruction fetch from memory that must not be executed"),
    (1 << 1, "access to memory that is protected"),
    (1 << 3, "protected memory on return from an exception"),
    (1 << 4, "protected memory on exception entry (stack overflow?)"),
    (1 << 8, "instruction fetch from where no memory is"),
    (1 << 9, "access to where no memory is"),
    (1 << 10, "late error of a write to where no memory is"),
    (1 << 12, "no memory below the stack on exception entry (stack overflow?)"),
    (1 << 16, "undefined instruction"),
    (1 << 17, "jump to an address that is not Thumb code"),
    (1 << 18, "bad return from an exception"),
    (1 << 19, "the floating-point or Helium unit is switched off"),
    (1 << 20, "stack limit passed"),
    (1 << 24, "unaligned access"),
    (1 << 25, "division by zero"),
)
MMARVALID = 1 << 7
BFARVALID = 1 << 15


@dataclass(frozen=True)
class Registers:
    """The exception frame and fault status, in the order of `td_fault` in td_board.h.

    Attributes:
        cfsr, hfsr, mmfar, bfar: 0 on cores that have none (Armv6-M).
    """

    r0: int
    r1: int
    r2: int
    r3: int
    r12: int
    lr: int
    pc: int
    xpsr: int
    cfsr: int = 0
    hfsr: int = 0
    mmfar: int = 0
    bfar: int = 0

    @classmethod
    def unpack(cls, data: bytes) -> Registers:
        """From the data of a FAULT frame; what is missing is 0."""
        return cls(*_WORDS.unpack(data[: _WORDS.size].ljust(_WORDS.size, b"\0")))

    def pack(self) -> bytes:
        return _WORDS.pack(*vars(self).values())

    def cause(self) -> str:
        """Half a sentence: "access to where no memory is (0x00000004)"."""
        text = "; ".join(words for bit, words in _CFSR_CAUSES if self.cfsr & bit)
        if self.cfsr & BFARVALID:
            text += f" (0x{self.bfar:08x})"
        elif self.cfsr & MMARVALID:
            text += f" (0x{self.mmfar:08x})"
        return text or "hard fault"

    @property
    def is_bad_jump(self) -> bool:
        """Whether it was going to an address, not what is there, that failed."""
        return bool(self.cfsr & (1 << 17 | 1 << 8 | 1 << 0))

    def __str__(self) -> str:
        return " ".join(f"{name}=0x{value:08x}" for name, value in vars(self).items())
