"""What an instruction of Armv6-M to Armv8.1-M is to a pipeline: its kind, what it moves.

Only as much is decoded as timing depends on. The encodings are those of the Armv8-M Architecture
Reference Manual (DDI 0553), C2.2 and C2.3; Armv6-M and Armv7-M are subsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PC = 15
_LDRS = (("store", 4), ("store", 2), ("store", 1), ("load", 1),
         ("load", 4), ("load", 2), ("load", 1), ("load", 2))  # fmt: skip


class Kind(Enum):
    """What timing tables tell apart."""

    ALU = "data processing"
    MUL = "MUL"
    MLA = "MLA, MLS"
    MULL = "SMULL, UMULL"
    MLAL = "SMLAL, UMLAL, UMAAL"
    DSP = "SMLAD and the other multiplications of halfwords or with rounding"
    DIV = "SDIV, UDIV"
    IT = "IT"
    SYSTEM = "MRS, MSR, CPS"
    BARRIER = "DMB, DSB, ISB"
    BRANCH = "B"
    BRANCH_IF = "B<cond>, CBZ, CBNZ"
    CALL = "BL"
    BRANCH_TO = "BX, BLX, MOV and ADD to PC"
    TABLE = "TBB, TBH"
    LOOP = "DLS, WLS"
    LOOP_END = "LE"
    LOAD = "LDR, LDRB, LDRH, LDRSB, LDRSH"
    STORE = "STR, STRB, STRH"
    LOAD_PAIR = "LDRD"
    STORE_PAIR = "STRD"
    LOAD_MANY = "LDM, POP"
    STORE_MANY = "STM, PUSH"
    FLOAT = "VADD, VMUL, VCVT and other floating point"
    FLOAT_MAC = "VMLA, VFMA"
    FLOAT_DIV = "VDIV, VSQRT"
    FLOAT_MOVE = "VMOV between cores' registers, VMRS"
    FLOAT_LOAD = "VLDR, VLDM"
    FLOAT_STORE = "VSTR, VSTM"
    VECTOR = "Helium: logic, addition, shifts, comparison"
    VECTOR_MAC = "Helium: multiplication"
    VECTOR_LOAD = "Helium: VLDR"
    VECTOR_STORE = "Helium: VSTR"
    VECTOR_GATHER = "Helium: loads and stores of scattered elements"


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        bytes: Of its encoding, 2 or 4.
        count: Registers that it loads or stores; 1 for what moves none.
        loaded, stored: Bytes of memory that it moves.
        to_pc: It loads PC, and so branches.
        writes: The core's registers that a single load fills, as a mask.
        address: The core's registers that a load's or store's address is made of, as a mask.
        indexed: The address is the sum of two registers.
    """

    kind: Kind
    bytes: int = 2
    count: int = 1
    loaded: int = 0
    stored: int = 0
    to_pc: bool = False
    writes: int = 0
    address: int = 0
    indexed: bool = False


def instructions(code: bytes) -> list[Instruction]:
    """A basic block's instructions.

    Args:
        code: Whole instructions, little-endian.
    """
    found = []
    at = 0
    while at + 2 <= len(code):
        first = int.from_bytes(code[at : at + 2], "little")
        second = int.from_bytes(code[at + 2 : at + 4], "little")
        found.append(decode(first, second))
        at += found[-1].bytes
    return found


def decode(first: int, second: int = 0) -> Instruction:
    """An instruction of its first halfword and, for one of 32 bits, its second."""
    if first < 0xE800:
        return _narrow(first)
    if first & 0xEC00 == 0xEC00:
        return _coprocessor(first, second)
    return (_wide_e8, _wide_f0, _wide_f8)[(first >> 11 & 3) - 1](first, second)


# ---- 16 bits ------------------------------------------------------------------------------------


def _narrow(code: int) -> Instruction:
    top = code >> 12
    if top < 4:
        return Instruction(Kind.ALU)
    if top == 4:
        return _narrow_registers(code)
    if top == 5:
        kind, size = _LDRS[code >> 9 & 7]
        return _single(kind, size, code & 7, 1 << (code >> 3 & 7) | 1 << (code >> 6 & 7), True)
    if top < 9:
        size = {6: 4, 7: 1, 8: 2}[top]
        return _single(_direction(code >> 11 & 1), size, code & 7, 1 << (code >> 3 & 7))
    if top == 9:
        return _single(_direction(code >> 11 & 1), 4, code >> 8 & 7, 1 << 13)
    if top == 0xB:
        return _narrow_others(code)
    if top == 0xC:
        return _many(code >> 11 & 1, (code & 0xFF).bit_count(), False)
    if top == 0xD:
        return Instruction(Kind.BRANCH_IF if code >> 8 & 15 < 14 else Kind.SYSTEM)
    return Instruction(Kind.BRANCH if top == 0xE else Kind.ALU)


def _narrow_registers(code: int) -> Instruction:
    """0x4000 to 0x4FFF: arithmetic of two registers, BX, literals."""
    if code >= 0x4800:
        return _single("load", 4, code >> 8 & 7, 1 << _PC)
    if code >= 0x4400:
        destination = code & 7 | code >> 4 & 8
        operation = code >> 8 & 3
        to_pc = operation == 3 or (operation != 1 and destination == _PC)
        return Instruction(Kind.BRANCH_TO if to_pc else Kind.ALU)
    return Instruction(Kind.MUL if code >> 6 & 15 == 13 else Kind.ALU)


def _narrow_others(code: int) -> Instruction:
    """0xB000 to 0xBFFF."""
    if code & 0xF500 == 0xB100:
        return Instruction(Kind.BRANCH_IF)
    if code & 0xFE00 == 0xB400:
        return _many(0, (code & 0x1FF).bit_count(), False)
    if code & 0xFE00 == 0xBC00:
        return _many(1, (code & 0x1FF).bit_count(), bool(code & 0x100))
    if code & 0xFF00 == 0xBF00:
        return Instruction(Kind.IT if code & 15 else Kind.ALU)
    return Instruction(Kind.SYSTEM if code & 0xFF00 in (0xB600, 0xBE00) else Kind.ALU)


# ---- 32 bits ------------------------------------------------------------------------------------


def _wide_e8(first: int, second: int) -> Instruction:
    """0xE800 to 0xEBFF: several registers, pairs, tables, shifted registers."""
    if first >= 0xEA00:
        return Instruction(Kind.ALU, 4)
    load = first >> 4 & 1
    if not first & 0x40:
        return _many(load, second.bit_count(), bool(load and second >> 15), 4)
    if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
        return Instruction(Kind.TABLE, 4, loaded=1 + (second >> 4 & 1))
    if first & 0x0120:
        return Instruction(
            Kind.LOAD_PAIR if load else Kind.STORE_PAIR, 4, 2, 8 * load, 8 * (1 - load)
        )
    # What is exclusive or ordered: a single access.
    return _single(_direction(load), 4, second >> 12, 1 << (first & 15), wide=True)


def _wide_f0(first: int, second: int) -> Instruction:
    """0xF000 to 0xF7FF: immediates, branches, system, loops."""
    if not second & 0x8000:
        return Instruction(Kind.ALU, 4)
    how = second & 0xD000
    if how == 0xD000:
        return Instruction(Kind.CALL, 4)
    if how == 0x9000:
        return Instruction(Kind.BRANCH, 4)
    if how == 0xC000:  # Armv8.1-M: low-overhead loops
        if second in (0xE801, 0xE001) and (second == 0xE801 or first & 15 == _PC):
            return Instruction(Kind.VECTOR if second == 0xE801 else Kind.ALU, 4)  # VCTP, LCTP
        return Instruction(Kind.LOOP_END if first & 0xFFCF == 0xF00F else Kind.LOOP, 4)
    if first & 0x0380 != 0x0380:
        return Instruction(Kind.BRANCH_IF, 4)
    if first & 0xFFF0 == 0xF3B0:
        return Instruction(Kind.BARRIER, 4)
    return Instruction(Kind.ALU if first & 0xFFF0 == 0xF3A0 else Kind.SYSTEM, 4)


def _wide_f8(first: int, second: int) -> Instruction:
    """0xF800 to 0xFBFF: single loads and stores, registers, multiplication, division."""
    if first < 0xFA00:
        load = first >> 4 & 1
        target = second >> 12
        size = 1 << (first >> 5 & 3)
        if load and target == _PC and size < 4:
            return Instruction(Kind.ALU, 4)  # PLD
        base = 1 << (first & 15)
        indexed = not first & 0x80 and not second & 0x0FC0 and first & 15 != _PC
        address = base | 1 << (second & 15) if indexed else base
        return _single(_direction(load), size, target, address, indexed, wide=True)
    if first < 0xFB00:
        return Instruction(Kind.ALU, 4)
    operation = first >> 4 & 7
    if first & 0x80:
        plain = second & 0xF0 == 0
        kind = (
            Kind.MULL, Kind.DIV, Kind.MULL, Kind.DIV,
            Kind.MLAL if plain else Kind.DSP, Kind.DSP, Kind.MLAL, Kind.DSP,
        )[operation]  # fmt: skip
        return Instruction(kind, 4)
    if operation:
        return Instruction(Kind.DSP, 4)
    return Instruction(Kind.MUL if second >> 12 == _PC else Kind.MLA, 4)


# ---- Floating point and Helium ------------------------------------------------------------------


def _coprocessor(first: int, second: int) -> Instruction:
    if first & 0xEE00 == 0xEC00:
        return _coprocessor_memory(first, second)
    unit = second >> 8 & 15
    if first >> 8 in (0xEE, 0xFE) and unit in (10, 11):
        if second & 0x10:
            duplicates = first & 0xFF80 == 0xEE80 and second & 0x0F50 == 0x0B10 and first & 0x20
            return Instruction(Kind.VECTOR if duplicates else Kind.FLOAT_MOVE, 4)
        return Instruction(_float_kind(first, second), 4)
    return Instruction(_vector_kind(first, second), 4)


def _float_kind(first: int, second: int) -> Kind:
    if first >> 8 == 0xFE:
        return Kind.FLOAT
    operation = first >> 4 & 0xB
    if operation in (0, 1, 9, 10):
        return Kind.FLOAT_MAC
    root = operation == 11 and first & 15 == 1 and second >> 6 & 3 == 3
    return Kind.FLOAT_DIV if operation == 8 or root else Kind.FLOAT


def _vector_kind(first: int, second: int) -> Kind:
    if first >> 8 in (0xEE, 0xFE) and second & 0x0E00 == 0x0E00:
        if first & 0x80:  # VMLADAV, VMLALDAV; among them VADDV, VMAXV, VSHLC and VMOVL
            adds = first & 1 and second & 0x100
            others = second & 0xC0 or first & 0x70 == 0x60
            return Kind.VECTOR if adds or others else Kind.VECTOR_MAC
        # VMULL, VMULH and all with a register; among them VADD, VCMP, VIDUP, VMOVN and VRSHL
        return Kind.VECTOR if second & 0x100 or first & 0x30 == 0x30 else Kind.VECTOR_MAC
    if first >> 8 in (0xEF, 0xFF) and not first & 0x80:
        multiplies = second & 0x0F50 in (0x0950, 0x0D50, 0x0C50) or second & 0x0F50 == 0x0B40
        return Kind.VECTOR_MAC if multiplies else Kind.VECTOR
    return Kind.VECTOR


def _coprocessor_memory(first: int, second: int) -> Instruction:
    load = first >> 4 & 1
    if first & 0xFFE0 == 0xEC40 or first & 0xFFA0 == 0xEC00:
        return Instruction(Kind.FLOAT_MOVE, 4, 2)
    if second & 0x0E00 == 0x0E00:
        scattered = not first & 0x0120 or (first >> 8 >= 0xFC and second & 0x1000)
        kind = Kind.VECTOR_LOAD if load else Kind.VECTOR_STORE
        moved = _vector_bytes(first, second, bool(scattered))
        return Instruction(
            Kind.VECTOR_GATHER if scattered else kind, 4, 1, moved * load, moved * (1 - load)
        )
    kind = Kind.FLOAT_LOAD if load else Kind.FLOAT_STORE
    double = second >> 8 & 1
    words = 1 + double if first & 0x0120 == 0x0100 else second & 0xFF
    return Instruction(kind, 4, words, 4 * words * load, 4 * words * (1 - load))


def _vector_bytes(first: int, second: int, scattered: bool) -> int:
    """Bytes of a whole vector in memory: fewer where each element is widened or narrowed."""
    if scattered or second & 0x1000:
        return 16
    lanes_bits = 8 << (second >> 7 & 3)
    in_memory = 8 << (first >> 3 & 1)
    return 128 // lanes_bits * in_memory // 8


def _direction(load: int) -> str:
    return "load" if load else "store"


def _single(
    kind: str, size: int, register: int, address: int, indexed: bool = False, wide: bool = False
) -> Instruction:
    length = 4 if wide else 2
    if kind == "store":
        return Instruction(Kind.STORE, length, 1, 0, size, address=address, indexed=indexed)
    return Instruction(
        Kind.LOAD, length, 1, size, 0, register == _PC, 1 << register, address, indexed
    )


def _many(load: int, count: int, to_pc: bool, length: int = 2) -> Instruction:
    kind = Kind.LOAD_MANY if load else Kind.STORE_MANY
    return Instruction(kind, length, count, 4 * count * load, 4 * count * (1 - load), to_pc)
