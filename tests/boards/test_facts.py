"""What the shipped TOML files say, and what is printed from it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.boards.kit import CORTEX_M, SCHEMA, SHIPPED
from tests.support import REPOSITORY
from tinydeploy import boards, cores
from tinydeploy.board import Board
from tinydeploy.console import setup_steps
from tinydeploy.emit.board import board_files
from tinydeploy.errors import InputError
from tinydeploy.plan.plan import Isa
from tinydeploy.rates import rate_divisor

FILES = sorted((REPOSITORY / "boards").rglob("*.toml"))

EXPECTED = {
    "nucleo_l4r5zi": ("cortex-m4", 2048, 640, ("unicorn",)),
    "nucleo_f746zg": ("cortex-m7", 1024, 320, ("unicorn",)),
    "nucleo_u575zi": ("cortex-m33", 2048, 768, ("unicorn",)),
    "nucleo_f030r8": ("cortex-m0", 64, 8, ("unicorn",)),
    "bluepill_f103": ("cortex-m3", 64, 20, ("unicorn",)),
    "microbit": ("cortex-m0", 256, 16, ("unicorn", "qemu")),
    "netduinoplus2": ("cortex-m4", 1024, 128, ("unicorn", "qemu")),
    "mps2_an385": ("cortex-m3", 4096, 4096, ("unicorn", "qemu")),
    "mps2_an386": ("cortex-m4", 4096, 4096, ("unicorn", "qemu")),
    "mps2_an500": ("cortex-m7", 4096, 4096, ("unicorn", "qemu")),
    "mps2_an505": ("cortex-m33", 4096, 4096, ("unicorn", "qemu")),
    "mps3_an547": ("cortex-m55", 512, 2048, ("qemu",)),
    **{
        f"generic_cortex_m{n}": (f"cortex-m{n}", 16384, 8192, ("unicorn",))
        for n in (0, 3, 4, 7, 33)
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_memories_and_runners(name: str) -> None:
    board = boards.load(name)
    assert board.flash is not None
    assert board.ram is not None
    found = (board.core.name, board.flash.bytes // 1024, board.ram.bytes // 1024, board.runners)
    assert found == EXPECTED[name]


@pytest.mark.parametrize("board", SHIPPED, ids=lambda b: b.name)
def test_every_board_renders_the_same_twice(board: Board) -> None:
    files = board_files(board)
    assert files == board_files(boards.load(board.name))
    assert {"td_board.h", "td_model.h"} <= files.keys()
    assert board.is_host or {"startup.c", "board.c", "libc.c", "linker.ld"} <= files.keys()
    for name, text in files.items():
        assert "{{" not in text.replace("{{pattern", ""), name
        assert "{%" not in text, name
        assert text.endswith("\n"), name


@pytest.mark.parametrize("path", FILES, ids=lambda p: "/".join(p.parts[-2:]))
def test_files_fit_the_schema(path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    kind = "Mcu" if path.parent.name == "mcu" else "Board"
    narrowed = {**schema, "anyOf": [{"$ref": f"#/$defs/{kind}"}]}
    content = tomllib.loads(path.read_text())
    jsonschema.Draft202012Validator(narrowed).validate(content)
    assert all(source.strip() for source in _sources(content))
    misspelt = {**content, "nmae": "x"}
    assert not jsonschema.Draft202012Validator(narrowed).is_valid(misspelt)


def _sources(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "source":
                yield value
            yield from _sources(value)
    elif isinstance(content, list):
        for value in content:
            yield from _sources(value)


def test_the_schema_is_current() -> None:
    current = json.dumps(boards.schema(), indent=2) + "\n"
    update = "python -m tinydeploy.boards > boards/board.schema.json"
    assert SCHEMA.read_text() == current, f"write it again: {update}"


def test_every_microcontroller_is_on_a_board() -> None:
    used = {board.mcu.name for board in CORTEX_M if board.mcu is not None}
    assert used == {path.stem for path in FILES if path.parent.name == "mcu"}


@pytest.mark.parametrize("board", CORTEX_M, ids=lambda b: b.name)
def test_cores_say_what_kernels_and_compilers_need(board: Board) -> None:
    core = board.core
    assert core.isas[-1] is Isa.SCALAR
    assert f"-mcpu={core.name}" in core.gcc_flags
    assert ("-mfloat-abi=hard" in core.gcc_flags) == (core.fpu != "none")
    assert core.zig_target.endswith("eabihf") == (core.fpu != "none")
    assert core.zig_cpu.startswith(core.name.replace("-", "_"))


def test_core_that_is_never_made_with_that_fpu() -> None:
    with pytest.raises(InputError, match="cortex-m0 has no single-precision"):
        cores.find("cortex-m0", "single")
    with pytest.raises(InputError, match="unknown core 'cortex-m5'"):
        cores.find("cortex-m5")


# What the reference manuals and vendors' own code use for 115200 baud at the clock after reset.
DIVISORS = {
    "nucleo_l4r5zi": 8889,  # LPUART: 256 * 4 MHz / 115200
    "nucleo_f746zg": 139,
    "nucleo_u575zi": 35,
    "nucleo_f030r8": 69,
    "bluepill_f103": 69,
    "netduinoplus2": 139,
    "microbit": 0x01D7E000,  # nRF51 reference manual, BAUDRATE, Baud115200
    "mps2_an386": 217,
    "raspberry_pi_pico": 6 << 6 | 33,  # RP2040 Datasheet, 4.2.7.1's method: IBRD, FBRD
    "ek_tm4c123gxl": 8 << 6 | 44,
    "same54_xpro": 63019,
    "nrf5340_dk": 0x01D60000,  # Product Specification, BAUDRATE, Baud115200
    "mbed_lpc1768": 0xC1 << 16 | 2,  # 4 MHz / (16 * 2 * (1 + 1 / 12))
    "frdm_k64f": 11 << 5 | 12,
    "slwrb4161a": 2384,
    "arduino_uno_r4_minima": 0xEC << 8 | 7,
    "cy8cproto_062_4343w": 13 << 16 | 4,  # 8 MHz / (14 * 5)
    "apollo4p_evb": 13 << 6 | 1,
}


@pytest.mark.parametrize("name", DIVISORS)
def test_baud_divisor(name: str) -> None:
    board = boards.load(name)
    assert board.mcu is not None
    assert board.console is not None
    assert rate_divisor(name, board.mcu, board.console) == DIVISORS[name]


def _registers(name: str) -> Mapping[int, int]:
    """Register -> value, after all steps, all registers 0 before."""
    values: dict[int, int] = {}
    board = boards.load(name)
    assert board.mcu is not None
    for step in (*board.mcu.setup, *setup_steps(board)):
        values[step.register] = values.get(step.register, 0) & ~step.clear | step.set
    return values


def test_setup_of_the_nucleo_l4r5zi() -> None:
    assert _registers("nucleo_l4r5zi") == {
        0x4002_1058: 1 << 28,  # RCC_APB1ENR1.PWREN
        0x4000_7004: 1 << 9,  # PWR_CR2.IOSV
        0x4002_104C: 1 << 6,  # RCC_AHB2ENR.GPIOGEN
        0x4800_1820: 8 << 28,  # GPIOG_AFRL: PG7
        0x4800_1824: 8,  # GPIOG_AFRH: PG8
        0x4800_1800: 0b10 << 14 | 0b10 << 16,  # GPIOG_MODER
        0x4002_105C: 1,  # RCC_APB1ENR2.LPUART1EN
    }


def test_setup_of_the_bluepill() -> None:
    assert _registers("bluepill_f103") == {
        0x4002_1018: 1 << 2 | 1 << 14,  # RCC_APB2ENR: IOPAEN, USART1EN
        0x4001_0804: 0b1011 << 4 | 0b0100 << 8,  # GPIOA_CRH: PA9, PA10
    }


def test_setup_of_the_microbit() -> None:
    assert _registers("microbit") == {
        0x4000_0000: 1,  # CLOCK.TASKS_HFCLKSTART
        0x5000_0508: 1 << 24,  # OUTSET
        0x5000_0760: 1,  # PIN_CNF[24]: output
        0x5000_0764: 0,  # PIN_CNF[25]: input
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, {0x4000_0558: 0x5A}) for name in ("nrf52_dk", "microbit_v2", "nrf52840_dk")),
        ("nrf5340_dk", {0x5000_6544: 0x50FA_50FA, 0x5000_654C: 0x50FA_50FA}),
    ],
)
def test_nordic_debug_ports_stay_as_the_uicr_says(name: str, expected: dict[int, int]) -> None:
    """APPROTECT.DISABLE: what Nordic's own start-up code writes where the UICR leaves it open."""
    registers = _registers(name)
    assert {register: registers[register] for register in expected} == expected


def test_nothing_in_the_uicr_is_needed() -> None:
    """No console on the NFC pins (UICR.NFCPINS), no image with anything for the UICR."""
    for board in CORTEX_M:
        if board.mcu is None or not board.mcu.name.startswith("nrf52"):
            continue
        assert board.console is not None
        pins = {pin.pin for pin in (board.console.tx, board.console.rx) if pin}
        assert not pins & {"P0.09", "P0.9", "P0.10"}, board.name
        assert board.mcu.boot is None
        assert all(
            memory.end <= 0x1000_0000 for memory in board.mcu.memories if memory.kind == "flash"
        )


def test_listing_boards_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tinydeploy import boards; boards.all_boards();"
        "print(*{'numpy', 'jinja2', 'unicorn'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert told.stdout.strip() == ""
