"""The boards' C compiles without a warning, links, and does its work on emulated cores."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.boards import kit
from tests.boards.test_clock import speed
from tests.support import require
from tinydeploy import boards
from tinydeploy.board import HOST, Board
from tinydeploy.console import early_steps, setup_steps
from tinydeploy.firmware import Firmware
from tinydeploy.mcu import Step
from tinydeploy.runners import RUNNERS, native
from tinydeploy.runners.base import Transport
from tinydeploy.runners.unicorn import UnicornTransport

pytestmark = pytest.mark.toolchain

LOOPS = 500_000  # in echo.c
STEP_BYTES = 28  # a step of the set-up, in board.c: its calls and their constants, at most
EXCEPTIONS = {
    "armv6-m": {2, 3, 11, 14, 15},
    "other": {2, 3, 4, 5, 6, 7, 11, 12, 14, 15},
}
WITH_A_CLOCK = (  # one of each kind of set-up
    "nucleo_l4r5zi", "bluepill_f103", "portenta_h7", "raspberry_pi_pico", "teensy40",
    "lpcxpresso55s69", "mbed_lpc1768", "frdm_mcxn947", "frdm_k64f",
)  # fmt: skip
UNUSABLE = 1 << 16  # CFSR.UNDEFINSTR


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, str, str], Firmware]:
    """What `firmware()` has built in this module."""
    return {}


@pytest.fixture
def firmware(
    built: dict[tuple[str, str, str], Firmware],
    board: Board,
    toolchain: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Firmware:
    """echo.c for a board."""
    require(toolchain)
    key = (board.name, toolchain, "echo.c")
    if key not in built:
        folder = tmp_path_factory.mktemp(f"{board.name}-{toolchain}")
        built[key] = kit.build(board, toolchain, "echo.c", folder)
    return built[key]


def of_every_kind(boards_: tuple[Board, ...]) -> pytest.MarkDecorator:
    """GCC for one board of each kind; clang for one of each core and boot ROM."""
    first = {(b.core, kit.boot_rom(b)): b for b in reversed(boards_)}.values()
    pairs = [(b, "arm-gnu") for b in boards_] + [(b, "zig") for b in first]
    return pytest.mark.parametrize(
        ("board", "toolchain"), pairs, ids=[f"{toolchain}-{b.name}" for b, toolchain in pairs]
    )


with_every_toolchain = pytest.mark.parametrize("toolchain", kit.TOOLCHAINS)


@of_every_kind(kit.ONE_OF_EACH)
def test_vector_table(board: Board, firmware: Firmware) -> None:
    assert board.mcu is not None
    assert board.flash is not None
    assert board.ram is not None
    with firmware.elf.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        assert text is not None
        assert text["sh_addr"] == board.flash.origin
        content = text.data()[board.vectors - board.flash.origin :]
    count = 16 + board.mcu.interrupts
    vectors = [int.from_bytes(content[4 * i : 4 * i + 4], "little") for i in range(count)]
    assert vectors[0] == board.ram.end
    assert vectors[0] % 8 == 0
    assert vectors[1] == firmware.symbols["Reset_Handler"].address | 1
    fault = firmware.symbols["Fault_Handler"].address | 1
    own = {}
    if "SysTick_Handler" in firmware.symbols:
        own[15] = firmware.symbols["SysTick_Handler"].address | 1
    if board.mcu.boot is not None and board.mcu.boot.ip == "lpc_checksum":
        own[7] = -sum(vectors[:7]) % (1 << 32)
    known = EXCEPTIONS.get(board.core.architecture, EXCEPTIONS["other"])
    for number in range(2, 16):
        expected = own.get(number, fault) if number in known else 0
        assert vectors[number] == expected, number
    assert set(vectors[16:]) == {fault}
    after = content[4 * count : 4 * count + 4]
    assert int.from_bytes(after, "little") != fault


@of_every_kind(kit.ONE_OF_EACH)
def test_sections(board: Board, firmware: Firmware) -> None:
    assert board.flash is not None
    assert board.ram is not None
    for section in firmware.sections:
        home = board.flash if section.name in (".text", ".rodata") else board.ram
        assert home.origin <= section.address, section
        assert section.address + section.bytes <= home.end, section
        if section.stored:
            assert board.flash.origin <= section.load_address, section
            assert section.load_address + section.bytes <= board.flash.end, section
    with firmware.elf.open("rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            start, size = segment["p_paddr"], segment["p_filesz"]
            assert size == 0 or board.flash.origin <= start <= start + size <= board.flash.end
    names = {section.name for section in firmware.sections}
    assert not {name for name in names if "exidx" in name or "eh_frame" in name}
    assert board.stack_bytes <= firmware.ram_bytes < board.stack_bytes + 1024
    own = board.vectors - board.flash.origin + STEP_BYTES * len(_all_steps(board))
    assert firmware.flash_bytes - own < 4096


def _all_steps(board: Board) -> tuple[Step, ...]:
    assert board.mcu is not None
    setup, clock = early_steps(board)
    return (*setup, *clock, *setup_steps(board))


def _greets_and_echoes(transport: Transport, board: Board) -> None:
    hello = kit.answer(transport, b"")
    expected = f"{board.name} 00000000 01234567 89abcdef 5a5a5a5a 00000004 00000010 \n"
    assert hello.decode() == expected
    every = bytes(set(range(256)) - set(b"cur"))
    for first in range(0, len(every), 4):  # no more than the smallest FIFO holds
        part = every[first : first + 4]
        assert kit.answer(transport, part, until=part) == part


def _counts(transport: Transport, rates: tuple[int, ...]) -> None:
    """Cycles past what 24 bits of SysTick hold are not lost."""
    words = kit.answer(transport, b"c").split()
    ticks, hz = (int(word, 16) for word in words)
    per_loop = transport.scale(ticks, hz) / LOOPS
    assert 4 <= per_loop <= 10
    assert hz in rates


def _reports_a_fault(transport: Transport, firmware: Firmware) -> None:
    line = kit.answer(transport, b"u")
    found = re.fullmatch(rb"fault (\w{8}) (\w{8}) (\w{8}) (\w{8}) \n", line)
    assert found, line
    pc, r0, xpsr, cfsr = (int(word, 16) for word in found.groups())
    symbol = firmware.symbols["undefined_instruction"]
    assert pc == symbol.address + 2
    assert r0 == 77
    assert xpsr & 1 << 24
    assert cfsr == (UNUSABLE if firmware.board.core.has_fault_status else 0)


def _works(firmware: Firmware, runner: str, *rates: int) -> None:
    with RUNNERS[runner].open(firmware) as transport:
        _greets_and_echoes(transport, firmware.board)
        _counts(transport, rates)
        _reports_a_fault(transport, firmware)


@of_every_kind(tuple(b for b in kit.ONE_OF_EACH if b.unicorn))
def test_in_the_embedded_emulator(firmware: Firmware, board: Board) -> None:
    require("unicorn")
    assert board.mcu is not None
    _works(firmware, "unicorn", board.mcu.rated_hz)


@pytest.mark.parametrize(
    "board",
    [boards.load(name) for name in WITH_A_CLOCK],
    ids=lambda board: board.name,
)
@pytest.mark.parametrize("toolchain", ["arm-gnu"])
def test_without_its_pll(firmware: Firmware, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock waits for never comes: all works at the speed after reset."""
    require("unicorn")
    assert board.mcu is not None
    map_setup = UnicornTransport._map_setup

    def never(self: UnicornTransport, steps: tuple[Step, ...], mapped: set[int]) -> None:
        map_setup(self, tuple(replace(step, wait=0) for step in steps), mapped)

    monkeypatch.setattr(UnicornTransport, "_map_setup", never)
    _works(firmware, "unicorn", board.mcu.clock_hz)


@pytest.mark.parametrize("board", [boards.load("raspberry_pi_pico")], ids=lambda board: board.name)
@pytest.mark.parametrize("toolchain", ["arm-gnu"])
def test_the_clock_comes_after_the_microcontrollers_set_up(firmware: Firmware) -> None:
    """An RP2040's PLL needs the crystal that the set-up starts, and the set-up selects it."""
    require("unicorn")
    with UnicornTransport(firmware) as transport:
        kit.answer(transport, b"")
        clk_sys = int.from_bytes(transport._uc.mem_read(0x4000_803C, 4), "little")
        assert clk_sys & 1


@pytest.mark.parametrize(
    "board",
    [boards.load(n) for n in ("raspberry_pi_pico", "samd21_xpro", "ek_ra4m1", "lm3s6965evb")],
    ids=lambda board: board.name,
)
@pytest.mark.parametrize("toolchain", ["arm-gnu"])
def test_the_clock_is_set_and_stays_set(firmware: Firmware, board: Board) -> None:
    """Nothing that the set-up does, before or after, undoes a step."""
    require("unicorn")
    assert board.mcu is not None
    with UnicornTransport(firmware) as transport:
        _greets_and_echoes(transport, board)

        class Memory(dict[int, int]):
            def __missing__(self, register: int) -> int:
                return transport._word(register)

        assert speed(board.mcu)(Memory()) * 1e6 == board.mcu.rated_hz


@pytest.mark.parametrize("board", [boards.load("samd21_xpro")], ids=lambda board: board.name)
@pytest.mark.parametrize("toolchain", ["arm-gnu"])
def test_a_value_of_the_factory_is_copied(firmware: Firmware, board: Board) -> None:
    """Six bits from the top of a word, to DFLLVAL.COARSE; the rest of it is not the factory's."""
    require("unicorn")
    with UnicornTransport(firmware) as transport:
        transport._uc.mem_write(0x80_6024, (0x2A << 26 | 0x3FF_FFFF).to_bytes(4, "little"))
        _greets_and_echoes(transport, board)
        assert transport._word(0x4000_0828) == 0x2A << 10 | 0x200


@pytest.mark.parametrize(
    "board",
    [boards.load(n) for n in ("nrf5340_dk", "nrf54l15_dk", "raspberry_pi_pico2", "frdm_k64f")],
    ids=lambda board: board.name,
)
@pytest.mark.parametrize("toolchain", ["arm-gnu"])
def test_ports_without_a_compiler_for_the_emulator(firmware: Firmware, board: Board) -> None:
    """The callbacks in Python model DMA, "nothing received" bits and registers of a byte too."""
    require("unicorn")
    with UnicornTransport(firmware, native.python_callbacks()) as transport:
        _greets_and_echoes(transport, board)


@pytest.mark.emulator
@pytest.mark.parametrize("board", [b for b in kit.CORTEX_M if b.qemu], ids=lambda board: board.name)
@with_every_toolchain
def test_in_qemu(firmware: Firmware, board: Board) -> None:
    require("qemu")
    assert board.mcu is not None
    _works(firmware, "qemu", board.mcu.clock_hz, board.mcu.rated_hz)


@pytest.mark.parametrize("board", [boards.load("nucleo_l4r5zi")], ids=lambda board: board.name)
@with_every_toolchain
def test_return_from_main_ends_quietly(firmware: Firmware) -> None:
    require("unicorn")
    with RUNNERS["unicorn"].open(firmware) as transport:
        kit.answer(transport, b"")
        with contextlib.suppress(EOFError):
            assert kit.answer(transport, b"r", timeout_s=1) == b""


@pytest.mark.parametrize("name", ["generic_cortex_m0", "generic_cortex_m3", "generic_cortex_m33"])
@with_every_toolchain
def test_memory_functions(name: str, toolchain: str, tmp_path: Path) -> None:
    require(toolchain, "unicorn")
    firmware = kit.build(boards.load(name), toolchain, "libc_check.c", tmp_path)
    with RUNNERS["unicorn"].open(firmware) as transport:
        assert kit.answer(transport, b"") == b"ok\n"


@with_every_toolchain
def test_too_much_ram_is_a_link_error(toolchain: str, tmp_path: Path) -> None:
    """The stack's least size counts: what leaves no room for it does not link."""
    require(toolchain)
    board = boards.load("nucleo_f030r8")
    with pytest.raises(AssertionError, match="overflowed by"):
        kit.build(board, toolchain, "ram_hog.c", tmp_path)


@pytest.mark.parametrize("toolchain", ["host"])
def test_host_board(toolchain: str, tmp_path: Path) -> None:
    require("host-cc")
    firmware = kit.build(HOST, toolchain, "host_echo.c", tmp_path)
    with RUNNERS["host"].open(firmware) as transport:
        assert kit.answer(transport, b"") == b"host\n"
        every = bytes(set(range(256)) - {ord("c")})
        assert kit.answer(transport, every, until=every) == every
        ticks, hz = (int(word, 16) for word in kit.answer(transport, b"c").split())
        assert 0 < ticks < hz
