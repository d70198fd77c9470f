"""The steps to the rated speed, read back as the reference manuals define the registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.boards.kit import CORTEX_M
from tinydeploy.boards import Board
from tinydeploy.mcu import Mcu
from tinydeploy.rates import rate_divisor

MHZ = 1_000_000
Registers = Mapping[int, int]

MCUS = {b.mcu.name: b.mcu for b in CORTEX_M if b.mcu is not None}
CLOCKED = {name: mcu for name, mcu in MCUS.items() if mcu.clock is not None}


def _bits(value: int, high: int, low: int) -> int:
    return value >> low & ((1 << high - low + 1) - 1)


def _written(mcu: Mcu) -> Registers:
    """What the steps leave in the registers, from zeros."""
    assert mcu.clock is not None
    registers: dict[int, int] = {}
    for step in mcu.clock.steps:
        registers[step.register] = registers.get(step.register, 0) & ~step.clear | step.set
    return registers


def _f013(r: Registers) -> float:
    """STM32F0, F1, F3: HSI is 8 MHz."""
    cfgr = r[0x4002_1004]
    source = 8 if _bits(cfgr, 16, 15) == 1 else 4
    assert _bits(cfgr, 1, 0) == 2
    return source * (_bits(cfgr, 21, 18) + 2)


def _f47(r: Registers) -> float:
    """STM32F4, F7: HSI is 16 MHz, 1 to 2 MHz into the PLL, 100 to 432 MHz out of it."""
    pll = r[0x4002_3804]
    vco_in = 16 / _bits(pll, 5, 0)
    vco = vco_in * _bits(pll, 14, 6)
    assert 1 <= vco_in <= 2
    assert 100 <= vco <= 432
    assert _bits(pll, 27, 24) >= 2
    assert _bits(r[0x4002_3808], 1, 0) == 2
    return vco / (2 * _bits(pll, 17, 16) + 2)


def _l4(r: Registers) -> float:
    """STM32L4, L5, G4: MSI is 4 MHz, HSI16 16 MHz."""
    pll = r[0x4002_100C]
    source = {1: 4, 2: 16}[_bits(pll, 1, 0)]
    vco_in = source / (_bits(pll, 7, 4) + 1)
    vco = vco_in * _bits(pll, 14, 8)
    assert vco_in >= 2.66
    assert 64 <= vco <= 344
    assert pll & 1 << 24
    assert _bits(r[0x4002_1008], 7, 4) == 0
    assert _bits(r[0x4002_1008], 1, 0) == 3
    return vco / (2 * _bits(pll, 26, 25) + 2)


def _g0_wb(base: int) -> Callable[[Registers], float]:
    """STM32G0, WB: MSI is 4 MHz, HSI16 16 MHz."""

    def speed(r: Registers) -> float:
        pll = r[base + 0x0C]
        vco = {1: 4, 2: 16}[_bits(pll, 1, 0)] / (_bits(pll, 6, 4) + 1) * _bits(pll, 14, 8)
        assert 96 <= vco <= 344
        assert pll & 1 << 28
        return vco / (_bits(pll, 31, 29) + 1)

    return speed


def _l01(cfgr: int) -> Callable[[Registers], float]:
    """STM32L0, L1: HSI is 16 MHz, at most 96 MHz out of the PLL."""

    def speed(r: Registers) -> float:
        vco = 16 * {0: 3, 1: 4, 2: 6, 3: 8}[_bits(r[cfgr], 21, 18)]
        assert vco <= 96
        return vco / (_bits(r[cfgr], 23, 22) + 1)

    return speed


def _u5(r: Registers) -> float:
    config, divisors = r[0x4602_0C28], r[0x4602_0C34]
    assert _bits(config, 1, 0) == 1
    assert config & 1 << 18
    vco = 4 / (_bits(config, 11, 8) + 1) * (_bits(divisors, 8, 0) + 1)
    assert 128 <= vco <= 544
    return vco / (_bits(divisors, 30, 24) + 1)


def _h5(r: Registers) -> float:
    config, divisors = r[0x4402_0C28], r[0x4402_0C34]
    assert _bits(config, 1, 0) == 1
    assert config & 1 << 16
    vco_in = 32 / _bits(config, 13, 8)
    assert (1, 2, 4, 8)[_bits(config, 3, 2)] <= vco_in <= (2, 4, 8, 16)[_bits(config, 3, 2)]
    vco = vco_in * (_bits(divisors, 8, 0) + 1)
    assert 192 <= vco <= 836
    return vco / (_bits(divisors, 15, 9) + 1)


def _h7(r: Registers) -> float:
    vco_in = 64 / _bits(r[0x5802_4428], 9, 4)
    assert 8 <= vco_in <= 16
    vco = vco_in * (_bits(r[0x5802_4430], 8, 0) + 1)
    assert 192 <= vco <= 836
    return vco / (_bits(r[0x5802_4430], 15, 9) + 1)


def _rp2040(r: Registers) -> float:
    vco = 12 / _bits(r[0x4002_8000], 5, 0) * _bits(r[0x4002_8008], 11, 0)
    assert 750 <= vco <= 1600
    return vco / _bits(r[0x4002_800C], 18, 16) / _bits(r[0x4002_800C], 14, 12)


SPEEDS: Mapping[str, Callable[[Registers], float]] = {
    **dict.fromkeys(("stm32f0", "stm32f1", "stm32f3"), _f013),
    **dict.fromkeys(("stm32f4", "stm32f7"), _f47),
    **dict.fromkeys(("stm32l4", "stm32l5", "stm32g4"), _l4),
    "stm32g0": _g0_wb(0x4002_1000),
    "stm32wb": _g0_wb(0x5800_0000),
    "stm32l0": _l01(0x4002_100C),
    "stm32l1": _l01(0x4002_3808),
    "stm32u5": _u5,
    "stm32h5": _h5,
    "stm32h7": _h7,
    "rp2040": _rp2040,
}
WITH_PLL = [name for name in CLOCKED if name.startswith(tuple(SPEEDS))]


@pytest.mark.parametrize("name", WITH_PLL)
def test_the_pll_makes_the_rated_speed(name: str) -> None:
    mcu = CLOCKED[name]
    speed = next(f for prefix, f in SPEEDS.items() if name.startswith(prefix))
    assert speed(_written(mcu)) * MHZ == mcu.rated_hz > mcu.clock_hz


@pytest.mark.parametrize("name", CLOCKED)
def test_switching_over_comes_last(name: str) -> None:
    """Before the processor speeds up, the flash must have its wait states; nothing that can fail
    comes behind the switch, or the console's divisor would be the wrong one."""
    mcu = CLOCKED[name]
    assert mcu.clock is not None
    waiting = [i for i, step in enumerate(mcu.clock.steps) if step.wait or step.wait_clear]
    for step in mcu.clock.steps[waiting[-1] + 1 :]:
        assert not step.waits
    if name.startswith("stm32"):
        flash = [i for i, step in enumerate(mcu.clock.steps) if "FLASH_ACR" in step.source]
        assert all(i < waiting[-1] for i in flash)
        assert bool(flash) != (mcu.rated_hz <= 24 * MHZ)


@pytest.mark.parametrize("board", CORTEX_M, ids=lambda board: board.name)
def test_the_console_has_its_rate_at_both_speeds(board: Board) -> None:
    assert board.mcu is not None
    assert board.console is not None
    for rated in (False, True):
        assert rate_divisor(board.name, board.mcu, board.console, rated=rated) > 0


def test_apb_clocks_of_the_consoles() -> None:
    """rated_hz of a port follows from the prescaler of its bus."""
    for name in WITH_PLL:
        mcu = CLOCKED[name]
        cfgr = {"stm32f4": 0x4002_3808, "stm32f7": 0x4002_3808}.get(name[:7])
        low = 10
        if name[:7] in ("stm32f1", "stm32f3"):
            cfgr, low = 0x4002_1004, 8
        if cfgr is None:
            continue
        value = _written(mcu)[cfgr]
        for uart in mcu.uarts.values():
            shift = low + 3 if "APB2" in uart.enable[0].source else low
            field = _bits(value, shift + 2, shift)
            divisor = 1 << max(0, field - 3)
            assert (uart.rated_hz or mcu.rated_hz) == mcu.rated_hz // divisor, name
