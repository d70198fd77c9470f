"""What boot ROMs want in the flash, byte by byte, and in the image that is flashed."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from tests.boards import kit
from tests.support import program, require
from tinydeploy import boards, image
from tinydeploy.board import Board
from tinydeploy.bootblocks import Block, blocks, crc32_mpeg2, vectors_offset

FLASH = 0x1000_0000


def _blocks(name: str) -> tuple[Board, tuple[Block, ...]]:
    board = boards.load(name)
    assert board.mcu is not None
    assert board.flash is not None
    return board, blocks(board.mcu.boot, board.flash)


def test_crc_is_the_catalogued_one() -> None:
    assert crc32_mpeg2(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2's check value


def _assembled(source: str, folder: Path) -> bytes:
    """What GNU's assembler makes of it."""
    (folder / "code.s").write_text(source)
    gcc = program("arm-none-eabi-gcc")
    for argv in (
        [gcc, "-c", "code.s", "-o", "code.o"],
        [gcc.replace("gcc", "objcopy"), "-O", "binary", "code.o", "code.bin"],
    ):
        subprocess.run(argv, cwd=folder, check=True)
    return (folder / "code.bin").read_bytes()


STAGE2 = """
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    ldr r3, =0x18000000
    movs r1, #0
    str r1, [r3, #0x08]
    movs r1, #4
    str r1, [r3, #0x14]
    ldr r1, =0x001f0300
    str r1, [r3, #0x00]
    movs r1, #0
    str r1, [r3, #0x04]
    adds r3, #0xf4
    ldr r1, =0x03000218
    str r1, [r3]
    subs r3, #0xf4
    movs r1, #1
    str r1, [r3, #0x08]
    ldr r0, =0x10000100
    ldr r1, =0xe000ed08
    str r0, [r1]
    ldr r1, [r0]
    msr msp, r1
    ldr r0, [r0, #4]
    bx r0
    .align 2
    .pool
"""


@pytest.mark.toolchain
def test_second_stage_is_what_an_assembler_makes(tmp_path: Path) -> None:
    require("arm-gnu")
    code = _assembled(STAGE2, tmp_path)
    _, (block,) = _blocks("raspberry_pi_pico")
    assert block.offset == 0
    assert block.data[:-4] == code.ljust(252, b"\0")
    assert len(block.data) == 256
    assert struct.unpack("<I", block.data[-4:])[0] == crc32_mpeg2(block.data[:-4])


def test_second_stage_configures_the_flash_and_starts_the_image() -> None:
    """Run as the boot ROM runs it: copied to the end of the RAM."""
    require("unicorn")
    import unicorn
    from unicorn import arm_const

    _, (block,) = _blocks("raspberry_pi_pico")
    stage2, ssi, scs = 0x2004_1F00, 0x1800_0000, 0xE000_E000
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
    for start, size in ((FLASH, 4096), (0x2004_1000, 4096), (ssi, 4096), (scs, 4096)):
        uc.mem_map(start, size)
    uc.mem_write(stage2, block.data)
    uc.mem_write(FLASH + 0x100, struct.pack("<II", 0x2004_2000, FLASH + 0x201))
    written: list[tuple[int, int]] = []

    def on_write(_uc: object, _kind: int, address: int, _size: int, value: int, _: object) -> None:
        written.append((address, value))

    uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_write)
    uc.emu_start(stage2 | 1, FLASH + 0x200)
    assert uc.reg_read(arm_const.UC_ARM_REG_PC) == FLASH + 0x200
    assert uc.reg_read(arm_const.UC_ARM_REG_SP) == 0x2004_2000
    assert written == [
        (ssi + 0x08, 0),
        (ssi + 0x14, 4),
        (ssi + 0x00, 31 << 16 | 3 << 8),
        (ssi + 0x04, 0),
        (ssi + 0xF4, 0x03 << 24 | 2 << 8 | 6 << 2),
        (ssi + 0x08, 1),
        (scs + 0xD08, FLASH + 0x100),
    ]


PSOC6 = """
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .align 2
    .word 0x08000400, 0x10000011, 0x1000002d, 0x1000002d
    cpsid i
    ldr r0, vector_table_base
    ldr r1, vectors
    str r1, [r0]
    ldr r0, power
    ldr r1, enabled
    str r1, [r0]
    ldr r0, status
    movs r2, #0x10
1:  ldr r1, [r0]
    tst r1, r2
    beq 1b
2:  wfi
    b 2b
3:  b 3b
    nop
vector_table_base: .word BASE
vectors: .word 0x10000400
power: .word POWER
enabled: .word 0x05fa0003
status: .word STATUS
"""
# CPUSS: CM4_VECTOR_TABLE_BASE, CM4_PWR_CTL, CM4_STATUS.
CPUSS = {
    "cy8cproto_062_4343w": (0x4020_0200, 0x4020_1200, 0x4020_0004),
    "cy8ckit_062_wifi_bt": (0x4021_02C0, 0x4021_0080, 0x4021_0088),
}


@pytest.mark.toolchain
@pytest.mark.parametrize("name", CPUSS)
def test_psoc6_block_is_what_an_assembler_makes(name: str, tmp_path: Path) -> None:
    require("arm-gnu")
    source = PSOC6
    for symbol, address in zip(("BASE", "POWER", "STATUS"), CPUSS[name], strict=True):
        source = source.replace(f".word {symbol}", f".word {address:#x}")
    _, (block,) = _blocks(name)
    assert block.offset == 0
    assert block.data == _assembled(source, tmp_path)


@pytest.mark.parametrize("name", CPUSS)
def test_psoc6_block_lets_the_cortex_m4_go(name: str) -> None:
    """Run as the boot code runs it: on the Cortex-M0+, from the flash's first vectors."""
    require("unicorn")
    import unicorn
    from unicorn import arm_const

    base, power, status = CPUSS[name]
    board, (block,) = _blocks(name)
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
    uc.mem_map(FLASH, 4096, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    for page in {address & ~0xFFF for address in CPUSS[name]}:
        uc.mem_map(page, 4096)
    uc.mem_write(FLASH, block.data)
    stack, reset = struct.unpack("<2I", block.data[:8])
    polls: list[int] = []
    written: list[tuple[int, int]] = []

    def on_read(uc: unicorn.Uc, _kind: int, address: int, *_: object) -> None:
        polls.append(address)
        if len(polls) == 3:  # PWR_DONE, in its time
            uc.mem_write(status, struct.pack("<I", 0x10))

    def on_write(_uc: object, _kind: int, address: int, _size: int, value: int, _: object) -> None:
        written.append((address, value))

    uc.hook_add(unicorn.UC_HOOK_MEM_READ, on_read, begin=status, end=status)
    uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_write)
    uc.reg_write(arm_const.UC_ARM_REG_SP, stack)
    wfi = FLASH + block.data.index(struct.pack("<H", 0xBF30))
    uc.emu_start(reset, wfi, count=1000)
    assert uc.reg_read(arm_const.UC_ARM_REG_PC) == wfi
    assert written == [(base, board.vectors), (power, 0x05FA << 16 | 3)]
    assert len(polls) == 3
    # What it names is where the emulator starts the Cortex-M4; its own stack is none of that one's.
    assert board.vectors == FLASH + 0x400
    assert board.ram is not None
    assert stack <= board.ram.origin


def test_rp2350_image_definition() -> None:
    _, (block,) = _blocks("raspberry_pi_pico2")
    assert block.offset is None
    assert block.data.hex(" ", 4) == "d3deffff 42012110 ff010000 00000000 793512ab"


def test_kinetis_flash_configuration_leaves_the_part_unsecured() -> None:
    _, (block,) = _blocks("frdm_k64f")
    assert block.offset == 0x400
    assert block.data.hex() == "ff" * 12 + "feffffff"
    assert block.data[12] & 0b11 == 0b10  # FSEC.SEC: unsecured


def test_imxrt_blocks() -> None:
    board, (config, table) = _blocks("teensy40")
    assert vectors_offset(board.mcu.boot if board.mcu else None) == 0x2000
    assert (config.offset, len(config.data)) == (0, 512)
    expected = {
        0x000: b"FCFB",
        0x004: bytes([0x00, 0x04, 0x01, 0x56]),  # version 1.4.0
        0x00C: bytes([1, 3, 3]),
        0x044: bytes([1, 1, 1]),
        0x050: (2 << 20).to_bytes(4, "little"),
        # CMD 03h; address, 24 bits; read; stop.
        0x080: bytes([0x03, 0x04, 24, 0x08, 4, 0x24, 0, 0]),
        0x1C0: (256).to_bytes(4, "little") + (4096).to_bytes(4, "little"),
    }
    rest = bytearray(config.data)
    for offset, content in expected.items():
        assert config.data[offset : offset + len(content)] == content, hex(offset)
        rest[offset : offset + len(content)] = bytes(len(content))
    assert not any(rest)

    assert table.offset == 0x1000
    header, entry, _, dcd, boot_data, itself, csf, _ = struct.unpack("<8I", table.data[:32])
    assert table.data[:4] == b"\xd1\x00\x20\x41"
    assert (header >> 8 & 0xFFFF, entry, dcd, csf) == (0x2000, 0x6000_2000, 0, 0)
    assert (boot_data, itself) == (0x6000_1020, 0x6000_1000)
    assert struct.unpack("<3I", table.data[32:44]) == (0x6000_0000, 2 << 20, 0)


def test_ra_options_have_the_hoco_run_and_a_boot_loaders_are_left_alone() -> None:
    """OFS1: HOCOEN is 0, HOCOFRQ1 0b100; all else is erased."""
    _, (block,) = _blocks("ek_ra4m1")
    assert (block.offset, block.data) == (0x400, b"\xff" * 4 + b"\xff\xce" + b"\xff" * 58)
    assert _blocks("arduino_uno_r4_minima")[1] == ()


WITH_BLOCKS = ("raspberry_pi_pico", "raspberry_pi_pico2", "frdm_k64f", "teensy41", "ek_ra4m1")


@pytest.mark.toolchain
@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_blocks_are_where_the_boot_rom_looks(name: str, tmp_path: Path) -> None:
    """In the bytes that a flash tool writes."""
    require("arm-gnu")
    board, wanted = _blocks(name)
    assert board.flash is not None
    assert board.mcu is not None
    firmware = kit.build(board, "arm-gnu", "echo.c", tmp_path)
    content = image.read(firmware.elf, board)
    assert content.segments[0].address == board.flash.origin
    flashed = {s.address + i: byte for s in content.segments for i, byte in enumerate(s.data)}
    behind = board.vectors - board.flash.origin + 4 * (16 + board.mcu.interrupts)
    for block in wanted:
        offset = behind if block.offset is None else block.offset
        first = board.flash.origin + offset
        found = bytes(flashed[first + i] for i in range(len(block.data)))
        assert found == block.data
        assert offset + len(block.data) <= 4096 or block.offset is not None
