"""What boot ROMs want to find in the flash beside a vector table, byte by byte.

A block has an offset from the flash's start; the vector table comes behind the blocks that must be
in front of it. `emit.board` prints them, and linker.ld.j2 places them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mcu import Boot, Memory


@dataclass(frozen=True)
class Block:
    """Bytes at an offset from the flash's start; None is right behind the vector table."""

    offset: int | None
    data: bytes


# In front of the vector table; 0 where it comes first.
_VECTORS = {
    "rp2040_stage2": 0x100,
    "imxrt_flexspi": 0x2000,
    "psoc6_01_cm0": 0x400,
    "psoc6_02_cm0": 0x400,
}


def vectors_offset(boot: Boot | None) -> int:
    """The vector table's distance from the flash's start, in bytes."""
    return _VECTORS.get(boot.ip, 0) if boot is not None else 0


def blocks(boot: Boot | None, flash: Memory) -> tuple[Block, ...]:
    """The blocks that a boot ROM wants, by offset.

    Args:
        boot: The microcontroller's.
        flash: What the image may use.
    """
    return _BLOCKS[boot.ip](flash) if boot is not None and boot.ip in _BLOCKS else ()


def crc32_mpeg2(data: bytes) -> int:
    """CRC-32 as RP2040's boot ROM computes it: not reflected, not inverted at its end."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C1_1DB7 if crc >> 31 else 0)) & 0xFFFF_FFFF
    return crc


# Switches execution from flash on, and starts the image behind it (RP2040 data sheet, 2.8.1.3.1
# and 4.10). Reading by the command 03h, 8 bits of command and 24 of address on one wire, is what
# every flash chip understands. Thumb code, then its literals.
_STAGE2_CODE = (
    0x4B0B,  # ldr  r3, =XIP_SSI_BASE
    0x2100,  # movs r1, #0
    0x6099,  # str  r1, [r3, #0x08]  SSIENR: off, to be configured
    0x2104,  # movs r1, #4
    0x6159,  # str  r1, [r3, #0x14]  BAUDR: a quarter of clk_sys
    0x490A,  # ldr  r1, =CTRLR0
    0x6019,  # str  r1, [r3, #0x00]  CTRLR0: 32 clocks a frame, EEPROM read mode
    0x2100,  # movs r1, #0
    0x6059,  # str  r1, [r3, #0x04]  CTRLR1: one frame
    0x33F4,  # adds r3, #0xf4
    0x4908,  # ldr  r1, =SPI_CTRLR0
    0x6019,  # str  r1, [r3, #0x00]  SPI_CTRLR0: command 03h, 8 and 24 bits
    0x3BF4,  # subs r3, #0xf4
    0x2101,  # movs r1, #1
    0x6099,  # str  r1, [r3, #0x08]  SSIENR: on
    0x4807,  # ldr  r0, =vectors
    0x4907,  # ldr  r1, =VTOR
    0x6008,  # str  r0, [r1]
    0x6801,  # ldr  r1, [r0]
    0xF381, 0x8808,  # msr msp, r1
    0x6840,  # ldr  r0, [r0, #4]
    0x4700,  # bx   r0
    0x46C0,  # nop, so that the literals are aligned
)  # fmt: skip
_STAGE2_LITERALS = (0x1800_0000, 0x001F_0300, 0x0300_0218, 0x1000_0100, 0xE000_ED08)
_STAGE2_BYTES = 256


def _rp2040(_: Memory) -> tuple[Block, ...]:
    code = struct.pack(f"<{len(_STAGE2_CODE)}H", *_STAGE2_CODE)
    literals = struct.pack(f"<{len(_STAGE2_LITERALS)}I", *_STAGE2_LITERALS)
    stage2 = (code + literals).ljust(_STAGE2_BYTES - 4, b"\0")
    return (Block(0, stage2 + struct.pack("<I", crc32_mpeg2(stage2))),)


def _rp2350(_: Memory) -> tuple[Block, ...]:
    """The least image definition (RP2350 data sheet, 5.9.5): Arm, secure, one block, no more."""
    start, image_type, last, link, end = 0xFFFF_DED3, 0x1021_0142, 0x0000_01FF, 0, 0xAB12_3579
    return (Block(None, struct.pack("<5I", start, image_type, last, link, end)),)


def _kinetis(_: Memory) -> tuple[Block, ...]:
    """The flash configuration field (K64 reference manual, 29.3.1): nothing secured or protected.

    FSEC is 0xFE, as delivered: unsecured, mass erase allowed. Anything else can lock the part.
    """
    backdoor_key, protection = b"\xff" * 8, b"\xff" * 4
    fsec, fopt, eeprom, data = 0xFE, 0xFF, 0xFF, 0xFF
    return (Block(0x400, backdoor_key + protection + bytes([fsec, fopt, eeprom, data])),)


def _ra_options(flash: Memory) -> tuple[Block, ...]:
    """The option-setting memory (RA4M1 Group User's Manual, 6.2), erased: all off but the HOCO.

    OFS1 has it run from reset, at 48 MHz, as the low-voltage mode of reset asks for. The memory
    holds the security MPU's regions too, which code that lies there by chance would switch on.
    Behind a boot loader it is the boot loader's.
    """
    if flash.origin != 0:
        return ()
    erased, hocoen, hocofrq1 = 0xFFFF_FFFF, 1 << 8, 0b111 << 12
    ofs1 = erased & ~hocoen & ~hocofrq1 | 0b100 << 12
    return (Block(0x400, struct.pack("<II", erased, ofs1) + b"\xff" * 56),)


def _lut(opcode: int, operand: int) -> int:
    """An instruction of FlexSPI's look-up table, on one wire."""
    return opcode << 10 | operand


def _imxrt(flash: Memory) -> tuple[Block, ...]:
    """FlexSPI configuration, image vector table, boot data (IMXRT1060RM, 9.6.3.1 and 9.7.1).

    Reads by the command 03h at 30 MHz on one wire, as every flash chip understands.
    """
    config = bytearray(512)
    struct.pack_into("<II", config, 0x00, 0x4246_4346, 0x5601_0400)  # "FCFB", version 1.4.0
    config[0x0C] = 1  # read strobe looped back from the DQS pad
    config[0x0D] = config[0x0E] = 3  # chip select: hold and set-up time
    config[0x44:0x47] = bytes([1, 1, 1])  # serial NOR, one wire, 30 MHz
    struct.pack_into("<I", config, 0x50, flash.bytes)
    command, address, read = _lut(0x01, 0x03), _lut(0x02, 24), _lut(0x09, 4)
    struct.pack_into("<4H", config, 0x80, command, address, read, 0)
    struct.pack_into("<II", config, 0x1C0, 256, 4096)  # page, sector
    table, boot_data = flash.origin + 0x1000, flash.origin + 0x1020
    vectors = flash.origin + _VECTORS["imxrt_flexspi"]
    ivt = struct.pack("<8I", 0x4120_00D1, vectors, 0, 0, boot_data, table, 0, 0)
    data = struct.pack("<4I", flash.origin, flash.bytes, 0, 0xFFFF_FFFF)
    return (Block(0, bytes(config)), Block(0x1000, ivt + data))


# The Cortex-M0+ is what starts in a PSoC 6: it lets the Cortex-M4 go, and sleeps (Architecture TRM,
# CPU subsystem; Registers TRM, CPUSS). Thumb code, then its literals.
_PSOC6_CODE = (
    0xB672,  # cpsid i
    0x4807,  # ldr  r0, =CM4_VECTOR_TABLE_BASE
    0x4907,  # ldr  r1, =vectors
    0x6001,  # str  r1, [r0]
    0x4807,  # ldr  r0, =CM4_PWR_CTL
    0x4908,  # ldr  r1, =key and ENABLED
    0x6001,  # str  r1, [r0]
    0x4808,  # ldr  r0, =CM4_STATUS
    0x2210,  # movs r2, #0x10
    0x6801,  # ldr  r1, [r0]        until PWR_DONE
    0x4211,  # tst  r1, r2
    0xD0FC,  # beq  .-4
    0xBF30,  # wfi
    0xE7FD,  # b    .-2
    0xE7FE,  # b    .               NMI and HardFault
    0x46C0,  # nop, so that the literals are aligned
)
_PSOC6_PWR_CTL = 0x05FA_0003  # VECTKEYSTAT, PWR_MODE = ENABLED
_PSOC6_STACK = 0x0800_0400  # in the first KiB of the SRAM, which the memories leave out


def _psoc6(
    vector_table_base: int, pwr_ctl: int, status: int
) -> Callable[[Memory], tuple[Block, ...]]:
    """What the Cortex-M0+ runs: its first vectors, and code behind them.

    Args:
        vector_table_base, pwr_ctl, status: The addresses of CPUSS's registers for the Cortex-M4.
    """

    def block(flash: Memory) -> tuple[Block, ...]:
        code = flash.origin + 16
        other = code + 2 * _PSOC6_CODE.index(0xE7FE)
        vectors = struct.pack("<4I", _PSOC6_STACK, code | 1, other | 1, other | 1)
        literals = (
            vector_table_base,
            flash.origin + _VECTORS["psoc6_01_cm0"],
            pwr_ctl,
            _PSOC6_PWR_CTL,
            status,
        )
        instructions = struct.pack(f"<{len(_PSOC6_CODE)}H", *_PSOC6_CODE)
        return (Block(0, vectors + instructions + struct.pack("<5I", *literals)),)

    return block


_BLOCKS: Mapping[str, Callable[[Memory], tuple[Block, ...]]] = {
    "rp2040_stage2": _rp2040,
    "rp2350_image_def": _rp2350,
    "kinetis_fcf": _kinetis,
    "imxrt_flexspi": _imxrt,
    "ra_options": _ra_options,
    "psoc6_01_cm0": _psoc6(0x4021_02C0, 0x4021_0080, 0x4021_0088),
    "psoc6_02_cm0": _psoc6(0x4020_0200, 0x4020_1200, 0x4020_0004),
}
