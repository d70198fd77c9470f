"""Clocks of processor and ports in MHz, as reference manuals compute them from the registers: parts
that are neither ST's nor NXP's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tinydeploy import boards

Registers = Mapping[int, int]


def bits(value: int, high: int, low: int) -> int:
    """A field of a register, by the numbers of its first and last bit."""
    return value >> low & ((1 << high - low + 1) - 1)


def _factory(mcu: str, register: int) -> list[tuple[int, int, int]]:
    """What is copied to a register: (bits, from where, bits further to the left there)."""
    clock = boards.load_mcu(mcu).clock
    assert clock is not None
    return [
        (step.clear, step.factory, step.factory_shift)
        for step in clock.steps
        if step.factory and step.register == register
    ]


def _rp2(pll: int, clocks: int, xosc: int) -> Callable[[Registers], float]:
    """RP2040, RP2350: the crystal, which the boot ROM of either wants too, is 12 MHz."""

    def speed(r: Registers) -> float:
        assert bits(r[xosc], 23, 12) == 0xFAB
        vco = 12 / bits(r[pll], 5, 0) * bits(r[pll + 0x8], 11, 0)
        assert 750 <= vco <= 1600
        assert bits(r[clocks + 0x3C], 7, 5) == 0
        assert bits(r[clocks + 0x3C], 0, 0) == 1
        return vco / bits(r[pll + 0xC], 18, 16) / bits(r[pll + 0xC], 14, 12)

    return speed


def _samd21(r: Registers) -> float:
    """DFLL48M without a reference is 48 MHz; above 24 MHz the flash wants a wait state."""
    assert r[0x4000_0824] == 1 << 1
    assert bits(r[0x4000_0828], 9, 0) == 512
    assert bits(r[0x4100_4004], 4, 1) == 1
    generator = r[0x4000_0C04]
    assert bits(generator, 7, 0) == 0
    assert generator & 1 << 16
    return {6: 8, 7: 48}[bits(generator, 12, 8)]


def _samd51(r: Registers) -> float:
    """Generators are DFLL48M (6) or DPLL0 (7), divided; 32 kHz to 3.2 MHz into the PLL."""

    def generator(n: int, dpll: float) -> float:
        control = r[0x4000_1C20 + 4 * n]
        assert control & 1 << 8
        return {6: 48, 7: dpll}[bits(control, 3, 0)] / max(bits(control, 31, 16), 1)

    channel = r[0x4000_1C80 + 4 * 1]
    assert channel & 1 << 6
    reference = generator(bits(channel, 3, 0), 0)
    assert 0.032 <= reference <= 3.2
    assert bits(r[0x4000_1038], 7, 5) == 0
    ratio = r[0x4000_1034]
    dpll = reference * (bits(ratio, 12, 0) + 1 + bits(ratio, 20, 16) / 32)
    assert 96 <= dpll <= 200
    return generator(0, dpll)


def _ra_divided(r: Registers, source: float, limits: Mapping[int, float]) -> float:
    """`limits`: the lowest bit of a field of SCKDIVCR -> MHz at most."""
    divisors = r[0x4001_E020]
    for low, limit in limits.items():
        assert source / (1 << bits(divisors, low + 2, low)) <= limit
    return source / (1 << bits(divisors, 26, 24))


def _ra4m1(r: Registers) -> float:
    """Only where OFS1 says that the HOCO makes 48 MHz; a wait state above 32 MHz."""
    assert bits(r[0x4001_E026], 2, 0) == 0
    assert r[0x4001_E031] == 1
    assert bits(r[0x4001_E0A0], 1, 0) == 0
    assert bits(r[0x4001_E020], 18, 16) == bits(r[0x4001_E020], 10, 8)
    return _ra_divided(r, 48, {28: 32, 12: 48, 8: 32, 4: 64, 0: 64})


def _ra6m5(r: Registers) -> float:
    """8 to 24 MHz into the PLL, 120 to 200 MHz out of it."""
    hoco = {0: 16, 1: 18, 2: 20}[bits(r[0x4001_E037], 1, 0)]
    config = r[0x4001_E028]
    assert config & 1 << 4
    reference = hoco / (bits(config, 1, 0) + 1)
    assert 8 <= reference <= 24
    pll = reference * (bits(config, 13, 8) + 1) / 2
    assert 120 <= pll <= 200
    assert bits(r[0x4001_E026], 2, 0) == 5
    assert bits(r[0x4001_C11C], 2, 0) == 3
    return _ra_divided(r, pll, {28: 50, 16: 100, 12: 100, 8: 50, 4: 50, 0: 100})


def _efr32mg12(r: Registers) -> float:
    """The factory's value in HFRCOCTRL; one wait state up to 40 MHz."""
    assert bits(r[0x400E_0000], 25, 24) == 1
    ((mask, where, shift),) = _factory("efr32mg12p432f1024gl125", 0x400E_4010)
    assert (mask, shift) == (0xFFFF_FFFF, 0)
    bands = {0: 4, 3: 7, 6: 13, 7: 16, 8: 19, 10: 26, 11: 32, 12: 38}
    return bands[(where - 0x0FE0_81B0 - 0x80) // 4]


def _efr32mg24(r: Registers) -> float:
    """The factory's value in CAL, but for CLKDIV; PCLK is 50 MHz at most."""
    ((mask, where, shift),) = _factory("efr32mg24b210f1536im48", 0x4001_0008)
    assert (mask, shift) == (0xFCFF_FFFF, 0)
    hfrco = {14: 56, 15: 64, 16: 80}[(where - 0x0FE0_8000 - 0x58) // 4]
    system = r[0x4000_8070]
    assert bits(system, 2, 0) == 2
    assert hfrco / (bits(system, 10, 10) + 1) <= 50
    assert bits(r[0x4003_0004], 21, 20) == 1
    return hfrco / (bits(system, 15, 12) + 1)


def _tm4c123(r: Registers) -> float:
    """16 MHz of PIOSC make 400 MHz, whatever the divisor."""
    rcc, rcc2 = r[0x400F_E060], r[0x400F_E070]
    assert rcc2 & 1 << 31
    assert not rcc2 & 1 << 13
    assert not rcc2 & 1 << 11
    assert (bits(rcc2, 6, 4), bits(rcc, 10, 6)) == (1, 0x15)
    assert rcc & 1 << 22
    assert rcc2 & 1 << 30
    return 400 / (bits(rcc2, 28, 22) + 1)


def _lm3s6965(r: Registers) -> float:
    """The PLL makes 400 MHz, of which a half goes to the divider."""
    rcc = r[0x400F_E060]
    assert (bits(rcc, 5, 4), bits(rcc, 9, 6)) == (0, 0xE)
    assert not rcc & (1 << 13 | 1 << 11 | 1)
    assert rcc & 1 << 22
    return 200 / (bits(rcc, 26, 23) + 1)


def _mspm0g(r: Registers) -> float:
    """SYSOSC is 32 MHz, 80 to 400 MHz out of the PLL; ULPCLK is 40 MHz at most."""
    outputs, dividers, main = r[0x400B_0120], r[0x400B_0124], r[0x400B_0104]
    assert not outputs & 1
    loop = 32 / (1 << bits(dividers, 1, 0))
    mcu = "mspm0g3507"
    first = {4: 0x1C, 8: 0x24, 16: 0x2C, 32: 0x34}  # from so many MHz into the loop on
    place = first[max(mhz for mhz in first if mhz <= loop)]
    ((_, where, _),) = _factory(mcu, 0x400B_0128)
    assert where == 0x41C4_0000 + place
    assert _factory(mcu, 0x400B_012C) == [(0xFFFF_FFFF, where + 4, 0)]
    vco = loop * (bits(dividers, 14, 8) + 1)
    assert 80 <= vco <= 400
    assert outputs & 1 << 4
    assert not outputs & 1 << 1
    assert main & 1 << 16
    assert bits(main, 11, 8) == 2
    mclk = vco / (2 * bits(outputs, 11, 8) + 2)
    assert mclk / (bits(main, 5, 4) + 1) <= 40
    return mclk


def _apollo3(r: Registers) -> float:
    """HFRC is 48 MHz; bursts double it."""
    assert r[0x4000_4018] & 1 == 0
    return 48 * (bits(r[0x4000_4034], 0, 0) + 1)


def _max78000(r: Registers) -> float:
    return {0: 60, 4: 100}[bits(r[0x4000_0008], 11, 9)] / (1 << bits(r[0x4000_0008], 8, 6))


# By the first letters of a microcontroller's name.
SPEEDS: Mapping[str, Callable[[Registers], float]] = {
    "rp2040": _rp2(0x4002_8000, 0x4000_8000, 0x4002_4000),
    "rp2350": _rp2(0x4005_0000, 0x4001_0000, 0x4004_8000),
    "atsamd21": _samd21,
    **dict.fromkeys(("atsamd51", "atsame54"), _samd51),
    "r7fa4m1": _ra4m1,
    "r7fa6m5": _ra6m5,
    "efr32mg12": _efr32mg12,
    "efr32mg24": _efr32mg24,
    "tm4c123": _tm4c123,
    "lm3s6965": _lm3s6965,
    "mspm0g": _mspm0g,
    "apollo3": _apollo3,
    "max78000": _max78000,
}


def _samd51_sercom(r: Registers) -> float:
    """Its channel's generator; 100 MHz at most."""
    (channel,) = (r[at] for at in range(0x4000_1C9C, 0x4000_1D40, 4) if at in r)
    assert channel & 1 << 6
    generator = r[0x4000_1C20 + 4 * bits(channel, 3, 0)]
    assert generator & 1 << 8
    return {6: 48}[bits(generator, 3, 0)]


PORTS: Mapping[str, Callable[[Registers], float]] = {
    "rp2040": lambda r: {4: 12}[bits(r[0x4000_8048], 7, 5)],
    "rp2350": lambda r: {4: 12}[bits(r[0x4001_0048], 7, 5)],
    "atsamd21": _samd21,
    **dict.fromkeys(("atsamd51", "atsame54"), _samd51_sercom),
    "r7fa4m1": lambda r: 48 / (1 << bits(r[0x4001_E020], 14, 12)),
    "r7fa6m5": lambda r: _ra6m5(r) / (1 << bits(r[0x4001_E020], 14, 12)),
    "efr32mg24": lambda r: _efr32mg24(r) / (bits(r[0x4000_8070], 10, 10) + 1),
    "mspm0g": lambda r: _mspm0g(r) / (bits(r[0x400B_0104], 5, 4) + 1),
    "max78000": lambda r: _max78000(r) / 2,
}
