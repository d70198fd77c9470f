"""Which driver a serial port takes, and which value of its rate register gives a baud rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .board import Console
from .errors import InputError
from .mcu import Mcu


@dataclass(frozen=True)
class Driver:
    """A console driver.

    Attributes:
        file: In firmware_templates/common.
        divisor: (clock_hz, baud) -> the value of its rate register, which must be in `limits`.
        rate: (clock_hz, divisor) -> the baud rate that comes out.
    """

    file: str
    divisor: Callable[[int, int], int]
    rate: Callable[[int, int], float]
    limits: tuple[int, int]


def _nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _divide(clock_hz: int, divisor: int) -> float:
    return clock_hz / divisor


def _oversampled(
    file: str, ratios: range, make: Callable[[int, int], int], parts: Callable[[int], int]
) -> Driver:
    """A port that samples each bit as many times as it is told, whose clock is divided before.

    Args:
        file: In firmware_templates/common.
        ratios: Samples a bit that it can take, the best first.
        make: (ratio, divisor) -> the register's value.
        parts: The register's value -> clocks a bit.
    """

    def divisor(clock_hz: int, baud: int) -> int:
        def error(ratio: int) -> float:
            return abs(clock_hz / (ratio * max(_nearest(clock_hz, ratio * baud), 1)) / baud - 1)

        best = min(ratios, key=lambda ratio: round(error(ratio), 3))
        return make(best, max(_nearest(clock_hz, best * baud), 1))

    return Driver(file, divisor, lambda hz, value: hz / max(parts(value), 1), (0, 0xFFFF_FFFF))


# BAUD: OSR is the ratio - 1, SBR the divisor.
_NXP_LPUART = _oversampled(
    "uart_nxp_lpuart.c",
    range(32, 7, -1),
    lambda ratio, divisor: (ratio - 1) << 24 | divisor,
    lambda value: ((value >> 24) + 1) * (value & 0x1FFF),
)

# The ratio - 1 (CTRL.OVS), the divisor - 1 (the peripheral clock's divider).
_INFINEON_SCB = _oversampled(
    "uart_infineon_scb.c",
    range(16, 7, -1),
    lambda ratio, divisor: (ratio - 1) << 16 | (divisor - 1),
    lambda value: ((value >> 16) + 1) * ((value & 0xFFFF) + 1),
)

# OSR, then BRG, of both the ratio or divisor - 1.
_LPC_FLEXCOMM = _oversampled(
    "uart_lpc_flexcomm.c",
    range(16, 4, -1),
    lambda ratio, divisor: (ratio - 1) << 16 | (divisor - 1),
    lambda value: ((value >> 16) + 1) * ((value & 0xFFFF) + 1),
)


def _lpc_divisor(clock_hz: int, baud: int) -> int:
    """FDR << 16 | DL, for the nearest divisor of 16 * DL * (1 + DIVADDVAL / MULVAL)."""
    fractions = [(add, mul) for mul in range(1, 16) for add in range(mul)]

    def dl(add: int, mul: int) -> int:
        return max(_nearest(clock_hz * mul, 16 * baud * (mul + add)), 1 if add == 0 else 2)

    def error(fraction: tuple[int, int]) -> float:
        add, mul = fraction
        return abs(clock_hz * mul / (16 * dl(add, mul) * (mul + add)) / baud - 1)

    add, mul = min(fractions, key=error)
    return (mul << 4 | add) << 16 | dl(add, mul)


def _lpc_rate(clock_hz: int, divisor: int) -> float:
    add, mul, dl = divisor >> 16 & 15, divisor >> 20, divisor & 0xFFFF
    return clock_hz * mul / (16 * dl * (mul + add))


_LPC_UART = Driver("uart_16550.c", _lpc_divisor, _lpc_rate, (0x10_0001, 0xFF_FFFF))

# CLKDIV, with 16-fold oversampling: 256ths beyond 1; its low three bits are not implemented.
_EFR32_USART = Driver(
    "uart_efr32_usart.c",
    lambda clock_hz, baud: _nearest(max(2 * clock_hz - 32 * baud, 0), baud) << 3,
    lambda clock_hz, divisor: clock_hz / (16 * (1 + divisor / 256)),
    (0, 0x7F_FFF8),
)


def _sci_divisor(clock_hz: int, baud: int) -> int:
    """MDDR << 8 | BRR: 8 clocks a bit, times BRR + 1, of which MDDR in 256 are let through."""
    brr = min(max(clock_hz // (8 * baud) - 1, 0), 0xFF)
    mddr = _nearest(256 * 8 * (brr + 1) * baud, clock_hz)
    return min(max(mddr, 0x80), 0xFF) << 8 | brr


_RENESAS_SCI = Driver(
    "uart_renesas_sci.c",
    _sci_divisor,
    lambda clock_hz, divisor: clock_hz * (divisor >> 8) / (256 * 8 * ((divisor & 0xFF) + 1)),
    (0x80 << 8, 0xFFFF),
)

# UARTE takes these alone (nRF5340 Product Specification, UARTE, BAUDRATE).
_NRF_RATES = {
    1200: 0x0004F000, 2400: 0x0009D000, 4800: 0x0013B000, 9600: 0x00275000, 14400: 0x003AF000,
    19200: 0x004EA000, 28800: 0x0075C000, 31250: 0x00800000, 38400: 0x009D0000, 56000: 0x00E50000,
    57600: 0x00EB0000, 76800: 0x013A9000, 115200: 0x01D60000, 230400: 0x03B00000,
    250000: 0x04000000, 460800: 0x07400000, 921600: 0x0F000000, 1000000: 0x10000000,
}  # fmt: skip


def _nrf_value(clock_hz: int, baud: int) -> int:
    del clock_hz
    return _NRF_RATES[min(_NRF_RATES, key=lambda rate: abs(rate - baud))]


_NRF_UARTE = Driver(
    "uart_nrf_uarte.c",
    _nrf_value,
    lambda clock_hz, divisor: clock_hz * divisor / (1 << 32),
    (0x0004F000, 0x10000000),
)

# USART: with 16-fold oversampling BRR is clock / baud. LPUART: 256 * clock / baud. nRF51: a
# fraction of 16 MHz in units of 2^-32, of which the low 12 bits are not implemented.
DRIVERS = {
    "stm32_usart_v1": Driver("uart_stm32_v1.c", _nearest, _divide, (16, 0xFFFF)),
    "stm32_usart_v2": Driver("uart_stm32_v2.c", _nearest, _divide, (16, 0xFFFF)),
    "stm32_lpuart": Driver(
        "uart_stm32_v2.c",
        lambda clock_hz, baud: _nearest(256 * clock_hz, baud),
        lambda clock_hz, divisor: 256 * clock_hz / divisor,
        (0x300, 0xFFFFF),
    ),
    "nxp_lpuart": _NXP_LPUART,
    "lpc_flexcomm": _LPC_FLEXCOMM,
    "lpc_uart": _LPC_UART,
    "ns16550": Driver(
        "uart_16550.c",
        lambda clock_hz, baud: _nearest(clock_hz, 16 * baud),
        lambda clock_hz, divisor: clock_hz / (16 * divisor),
        (1, 0xFFFF),
    ),
    "efr32_usart": _EFR32_USART,
    "efr32s2_usart": _EFR32_USART,
    "renesas_sci": _RENESAS_SCI,
    # In units of 1/32.
    "kinetis_uart": Driver(
        "uart_kinetis.c",
        lambda clock_hz, baud: _nearest(2 * clock_hz, baud),
        lambda clock_hz, divisor: 2 * clock_hz / divisor,
        (1 << 5, 0x1FFF << 5),
    ),
    # The part of 2^16 clocks, of 16 to a bit, that are left out.
    "sam_usart": Driver(
        "uart_sam.c",
        lambda clock_hz, baud: 65536 - _nearest(65536 * 16 * baud, clock_hz),
        lambda clock_hz, divisor: clock_hz * (65536 - divisor) / (16 * 65536),
        (0, 0xFFFF),
    ),
    # In units of 1/64.
    "pl011": Driver(
        "uart_pl011.c",
        lambda clock_hz, baud: _nearest(4 * clock_hz, baud),
        lambda clock_hz, divisor: 4 * clock_hz / divisor,
        (1 << 6, 0xFFFF << 6),
    ),
    "mspm0_uart": Driver(
        "uart_mspm0.c",
        lambda clock_hz, baud: _nearest(4 * clock_hz, baud),
        lambda clock_hz, divisor: 4 * clock_hz / divisor,
        (1 << 6, 0xFFFF << 6),
    ),
    "infineon_scb": _INFINEON_SCB,
    "max78_uart": Driver("uart_max78.c", _nearest, _divide, (16, 0xFFFFF)),
    "cmsdk_uart": Driver("uart_cmsdk.c", _nearest, _divide, (16, 0xFFFFF)),
    "nrf_uarte": _NRF_UARTE,
    "nrf54_uarte": _NRF_UARTE,
    "nrf51_uart": Driver(
        "uart_nrf51.c",
        lambda clock_hz, baud: _nearest(baud << 20, clock_hz) << 12,
        lambda clock_hz, divisor: clock_hz * divisor / (1 << 32),
        (1 << 12, 1 << 28),
    ),
}

# The receiver of either end samples the tenth bit half a bit early or late at 5 %, and both ends
# may be off.
_MAX_BAUD_ERROR = 0.025


def rate_divisor(name: str, mcu: Mcu, console: Console, *, rated: bool = False) -> int:
    """The value of the rate register for a console.

    Args:
        name: The board's, for the error.
        mcu, console: The board's.
        rated: At the processor's rated speed; else at the speed after reset.

    Raises:
        InputError: No value gives the baud rate closely enough.
    """
    uart = mcu.uarts[console.uart]
    driver, clock_hz = DRIVERS[uart.ip], uart.clock_hz or mcu.clock_hz
    if rated:
        clock_hz = uart.rated_hz or uart.clock_hz or mcu.rated_hz
    divisor = driver.divisor(clock_hz, console.baud)
    low, high = driver.limits
    divisor = min(max(divisor, low), high)
    rate = driver.rate(clock_hz, divisor)
    if abs(rate / console.baud - 1) > _MAX_BAUD_ERROR:
        raise InputError(
            f"{name}: {console.uart} at {clock_hz} Hz makes {rate:.0f} baud, not {console.baud}",
            "lower console.baud",
        )
    return divisor
