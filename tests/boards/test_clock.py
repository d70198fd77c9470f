"""The steps to the rated speed, read back as the reference manuals define the registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import pytest

from tests.boards import speeds
from tests.boards.kit import CORTEX_M
from tests.boards.speeds import Registers
from tests.boards.speeds import bits as _bits
from tinydeploy import boards
from tinydeploy.board import Board
from tinydeploy.console import early_steps, setup_steps
from tinydeploy.mcu import Mcu, Step
from tinydeploy.rates import rate_divisor

MHZ = 1_000_000

MCUS = {b.mcu.name: boards.load_mcu(b.mcu.name) for b in CORTEX_M if b.mcu is not None}
OF_BOARDS = {  # a board's [clock] in the place of its chip's
    f"{b.mcu.name} of {b.name}": b.mcu
    for b in CORTEX_M
    if b.mcu is not None and b.mcu.clock != MCUS[b.mcu.name].clock
}
MCUS |= OF_BOARDS
CLOCKED = {name: mcu for name, mcu in MCUS.items() if mcu.clock is not None}


def _written(mcu: Mcu, *more: Step) -> Registers:
    """What set-up, clock and `more` leave in the registers, from zeros."""
    assert mcu.clock is not None
    return _after((*mcu.setup, *mcu.clock.steps, *more), {})


def _after(steps: Iterable[Step], reset: Registers) -> Registers:
    """What steps leave in the registers."""
    registers = dict(reset)
    for step in steps:
        kept = 0 if step.write_only else registers.get(step.register, 0) & ~step.clear
        registers[step.register] = kept | step.set
    return registers


def _f013(r: Registers) -> float:
    """STM32F0, F1, F3: HSI is 8 MHz, and so is what the boards have at HSE."""
    cfgr = r[0x4002_1004]
    source = {0: 4, 1: 8, 2: 8}[_bits(cfgr, 16, 15)]
    assert not cfgr & 1 << 17
    assert bool(r[0x4002_1000] & 1 << 16) == (_bits(cfgr, 16, 15) == 2)
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


# Reset values of what is read below, and what the boot ROM leaves otherwise.
NXP_RESET: Mapping[str, Registers] = {
    "mimxrt1062": {
        0x400D_8000: 0x2042,  # PLL_ARM: 792 MHz
        0x400D_8030: 0x8000_2001,  # PLL_SYS: 528 MHz, locked
        0x400D_8100: 0x1018_101B,  # PFD_528
        0x400F_C010: 0x1,
        0x400F_C014: 0xA_8200,
        0x400F_C018: 0x2DAE_8324,  # PRE_PERIPH_CLK_SEL: the ARM PLL
    },
    "mk64fn1m0": {0x4004_8044: 0x1_0000, 0x4006_4000: 0x4, 0x4006_4001: 0x80, 0x4006_4003: 0},
    "lpc55s69": {0x4002_0010: 0x10C_4E68, 0x4000_0280: 0, 0x4000_0284: 0, 0x4000_0380: 0},
    "lpc1768": {0x400F_C080: 0, 0x400F_C084: 0, 0x400F_C104: 0, 0x400F_C10C: 0},
    "mcxn947": {0x4004_4014: 0x300_0000},
}


def _rt1062(r: Registers) -> float:
    """i.MX RT106x: the crystal, PLL2's 528 MHz or its phase fractional divider 2, or the ARM PLL.
    The processor's clock is the AHB's."""
    bus, mux = r[0x400F_C014], r[0x400F_C018]
    if bus & 1 << 25:
        return 24 if _bits(mux, 13, 12) == 1 else 0
    pll = r[0x400D_8000]
    arm: float = 24
    if not pll & 1 << 16:
        assert pll & 0x3000 == 0x2000
        assert 54 <= _bits(pll, 6, 0) <= 108
        arm = 12 * _bits(pll, 6, 0)
    sources = {
        1: 528 * 18 / _bits(r[0x400D_8100], 21, 16),
        3: arm / (_bits(r[0x400F_C010], 2, 0) + 1),
    }
    speed = sources[_bits(mux, 19, 18)] / (_bits(bus, 12, 10) + 1)
    if speed > 528:
        assert 0.8 + 0.025 * _bits(r[0x4008_000C], 4, 0) >= 1.25
    assert speed / (_bits(bus, 9, 8) + 1) <= (150 if speed > 528 else 198)
    return speed


def _k64(r: Registers) -> float:
    """Kinetis K64: the FLL's multiple of 32.768 kHz, or 50 MHz at EXTAL0 and the PLL."""
    c1, c4, divisors = r[0x4006_4000], r[0x4006_4003], r[0x4004_8044]
    if _bits(c1, 7, 6) == 2:
        assert (
            31.25 <= 50_000 / (32, 64, 128, 256, 512, 1024, 1280, 1536)[_bits(c1, 5, 3)] <= 39.0625
        )
        out = Fraction(50)
    elif r.get(0x4006_4005, 0) & 1 << 6:
        assert not c1 & 1 << 2
        assert _bits(r[0x4006_4001], 5, 4) == 2
        reference = Fraction(50, _bits(r[0x4006_4004], 4, 0) + 1)
        assert 2 <= reference <= 4
        out = reference * (_bits(r[0x4006_4005], 4, 0) + 24)
    else:
        ranges = (732, 1464, 2197, 2929) if c4 & 1 << 7 else (640, 1280, 1920, 2560)
        out = Fraction(32_768, 10**6) * ranges[_bits(c4, 6, 5)]
    limits = {28: 120, 24: 60, 20: 50, 16: 25}  # core, bus, FlexBus, flash
    for low, most in limits.items():
        assert out / (_bits(divisors, low + 3, low) + 1) <= most
    return float(out / (_bits(divisors, 31, 28) + 1))


def _lpc55(r: Registers) -> float:
    assert _bits(r[0x4000_0284], 2, 0) == 0
    speed = {0: 12, 3: 96}[_bits(r[0x4000_0280], 2, 0)] / (_bits(r[0x4000_0380], 7, 0) + 1)
    if speed > 12:
        assert r[0x4001_3010] & 1 << 30
        assert _bits(r[0x4002_0010], 20, 17) == 6  # 1.1 V
        assert 11 * (_bits(r[0x4000_0400], 15, 12) + 1) >= speed
        assert _bits(r[0x4003_4080], 3, 0) == _bits(r[0x4000_0400], 15, 12)
    return speed


def _lpc17(r: Registers) -> float:
    control, config = r[0x400F_C080], r[0x400F_C084]
    out: float = 4
    if _bits(control, 1, 0) == 3:
        assert _bits(r[0x400F_C10C], 1, 0) == 0  # the internal oscillator
        out = 2 * (_bits(config, 14, 0) + 1) * 4 / (_bits(config, 23, 16) + 1)
        assert 275 <= out <= 550
        assert 20 * (_bits(r[0x400F_C000], 15, 12) + 1) >= out / (_bits(r[0x400F_C104], 7, 0) + 1)
    return out / (_bits(r[0x400F_C104], 7, 0) + 1)


def _mcxn(r: Registers) -> float:
    source = _bits(r[0x4004_4014], 27, 24)
    if source == 3:
        return 48
    assert source == 5
    assert _bits(r[0x4004_4504], 26, 25) == 1  # FIRC's 48 MHz
    vco_in = 48 / _bits(r[0x4004_450C], 7, 0)
    vco = vco_in * _bits(r[0x4004_4510], 15, 0)
    assert 275 <= vco <= 550
    for divider in (0x4004_450C, 0x4004_4510, 0x4004_4514):
        assert r[divider] & 1 << 31
    assert _bits(r[0x4004_4518], 16, 0) == vco_in * 500 + 300
    assert _bits(r[0x4004_5100], 3, 2) == _bits(r[0x4004_5100], 11, 10) == 3  # 1.2 V
    assert _bits(r[0x4004_5040], 1, 0) == 3
    assert _bits(r[0x4004_3008], 3, 0) >= 3
    return vco / (2 * _bits(r[0x4004_4514], 4, 0))


NXP: Mapping[str, Callable[[Registers], float]] = {
    "mimxrt1062": _rt1062,
    "mk64fn1m0": _k64,
    "lpc55s69": _lpc55,
    "lpc1768": _lpc17,
    "mcxn947": _mcxn,
}
# Where the PLL or oscillator must have come. What waits for more is the switching itself.
LOCKS = {
    "mimxrt1062": 0x400D_8000,
    "mk64fn1m0": 0x4006_4006,
    "lpc55s69": 0x4001_3014,
    "lpc1768": 0x400F_C088,
    "mcxn947": 0x4004_4500,
}
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
    **speeds.SPEEDS,
}


def speed(mcu: Mcu) -> Callable[[Registers], float]:
    """What tells a microcontroller's speed in MHz from its registers."""
    return next(f for prefix, f in SPEEDS.items() if mcu.name.startswith(prefix))


WITH_PLL = [name for name in CLOCKED if name.startswith(tuple(SPEEDS))]


@pytest.mark.parametrize("name", WITH_PLL)
def test_the_pll_makes_the_rated_speed(name: str) -> None:
    mcu = CLOCKED[name]
    assert speed(mcu)(_written(mcu)) * MHZ == mcu.rated_hz > mcu.clock_hz


@pytest.mark.parametrize("name", [n for n in CLOCKED if n.split()[0] in NXP])
def test_nxp_runs_at_its_speed_or_at_the_one_after_reset(name: str) -> None:
    """Also where the PLL or oscillator never comes, which is where the steps end then."""
    mcu, chip = CLOCKED[name], name.split()[0]
    assert mcu.clock is not None
    steps, speed, reset = mcu.clock.steps, NXP[chip], NXP_RESET[chip]
    assert round(speed(_after((), reset)) * MHZ) == mcu.clock_hz
    assert round(speed(_after(steps, reset)) * MHZ) == mcu.rated_hz > mcu.clock_hz
    locks = [i for i, step in enumerate(steps) if step.register == LOCKS[chip] and step.wait]
    if chip == "mk64fn1m0" and not locks:  # the FLL runs always
        return
    assert round(speed(_after(steps[: locks[0] + 1], reset)) * MHZ) == mcu.clock_hz


def test_rt1062_changes_no_clock_under_the_processor() -> None:
    """The first multiplexer, and the ARM PLL, are set while it runs on something else."""
    clock = CLOCKED["mimxrt1062"].clock
    assert clock is not None
    registers = _after((), NXP_RESET["mimxrt1062"])
    for step in clock.steps:
        on_crystal = bool(registers[0x400F_C014] & 1 << 25)
        on_arm_pll = not on_crystal and _bits(registers[0x400F_C018], 19, 18) == 3
        after = _after([step], registers)
        if (registers[0x400F_C018] ^ after[0x400F_C018]) & 0xC_0000:
            assert on_crystal
        if any(registers[at] != after[at] for at in (0x400D_8000, 0x400F_C010)):
            assert not on_arm_pll
        registers = after


def test_lpc1768_feeds_its_pll() -> None:
    """0xAA and 0x55 behind each change of it (UM10360, 4.5.8), nothing in between."""
    clock = CLOCKED["lpc1768"].clock
    assert clock is not None
    steps = clock.steps
    for i, step in enumerate(steps):
        if step.register in (0x400F_C080, 0x400F_C084):
            fed = steps[i + 1 : i + 3]
            assert [s.set for s in fed] == [0xAA, 0x55]
            assert all(s.register == 0x400F_C08C and s.write_only for s in fed)


@pytest.mark.parametrize(
    ("name", "lock", "key", "register"),
    [
        ("apollo3", 0x4000_4014, 0x47, 0x4000_4018),
        ("r7fa4m1ab", 0x4001_E3FE, 0xA503, 0x4001_E0A0),  # OPCCR needs PRC1
        ("r7fa4m1ab", 0x4001_E3FE, 0xA503, 0x4001_E026),
        ("r7fa6m5bh", 0x4001_E3FE, 0xA501, 0x4001_E026),
    ],
)
def test_what_is_locked_is_unlocked_first(name: str, lock: int, key: int, register: int) -> None:
    mcu = CLOCKED[name]
    assert mcu.clock is not None
    steps = (*mcu.setup, *mcu.clock.steps)
    first = next(i for i, step in enumerate(steps) if step.register == register)
    assert _after(steps[:first], {})[lock] == key


@pytest.mark.parametrize("board", CORTEX_M, ids=lambda board: board.name)
def test_the_set_up_leaves_the_clock_alone(board: Board) -> None:
    """What comes behind the clock's steps does not take back what they did."""
    assert board.mcu is not None
    if board.mcu.clock is None:
        return
    setup, clock = early_steps(board)
    steps = (*setup, *clock)
    before, after = _after(steps, {}), _after((*steps, *setup_steps(board)), {})
    for register in {step.register for step in clock if not step.write_only}:
        assert before[register] & ~after[register] == 0, hex(register)


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


@pytest.mark.parametrize("name", [n for n in CLOCKED if n.startswith(tuple(speeds.PORTS))])
def test_clocks_of_the_consoles(name: str) -> None:
    mcu = CLOCKED[name]
    clock = next(f for prefix, f in speeds.PORTS.items() if name.startswith(prefix))
    for uart in mcu.uarts.values():
        rated = uart.rated_hz or uart.clock_hz or mcu.rated_hz
        assert clock(_written(mcu, *uart.enable)) * MHZ == rated


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
