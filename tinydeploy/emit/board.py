"""A board's C: start-up, linker script, console driver, cycle counter. All decided here; the
templates only print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__, paths
from ..boards import Board, Console, Gpio, Mcu, Pin, Step, Uart
from ..errors import InputError

# Vectors 2 to 15; "" is reserved.
_CORE_EXCEPTIONS = (
    "NMI_Handler", "HardFault_Handler", "MemManage_Handler", "BusFault_Handler",
    "UsageFault_Handler", "SecureFault_Handler", "", "", "", "SVC_Handler", "DebugMon_Handler",
    "", "PendSV_Handler", "SysTick_Handler",
)  # fmt: skip
_ARMV6M_EXCEPTIONS = (
    "NMI_Handler", "HardFault_Handler", "", "", "", "", "", "", "", "SVC_Handler", "", "",
    "PendSV_Handler", "SysTick_Handler",
)  # fmt: skip

_HEADERS = ("td_model.h", "td_board.h")


@dataclass(frozen=True)
class _Driver:
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


# USART: with 16-fold oversampling BRR is clock / baud. LPUART: 256 * clock / baud. nRF51: a
# fraction of 16 MHz in units of 2^-32, of which the low 12 bits are not implemented.
_DRIVERS = {
    "stm32_usart_v1": _Driver("uart_stm32_v1.c", _nearest, _divide, (16, 0xFFFF)),
    "stm32_usart_v2": _Driver("uart_stm32_v2.c", _nearest, _divide, (16, 0xFFFF)),
    "stm32_lpuart": _Driver(
        "uart_stm32_v2.c",
        lambda clock_hz, baud: _nearest(256 * clock_hz, baud),
        lambda clock_hz, divisor: 256 * clock_hz / divisor,
        (0x300, 0xFFFFF),
    ),
    "cmsdk_uart": _Driver("uart_cmsdk.c", _nearest, _divide, (16, 0xFFFFF)),
    "nrf51_uart": _Driver(
        "uart_nrf51.c",
        lambda clock_hz, baud: _nearest(baud << 20, clock_hz) << 12,
        lambda clock_hz, divisor: clock_hz * divisor / (1 << 32),
        (1 << 12, 1 << 28),
    ),
}

_COUNTERS = {"cortex": "counter_cortex.c", "nrf51_timer": "counter_nrf51_timer.c"}

# The receiver of either end samples the tenth bit half a bit early or late at 5 %, and both ends
# may be off.
_MAX_BAUD_ERROR = 0.025


def board_files(board: Board) -> dict[str, str]:
    """All that the firmware of a board is made of, apart from model, kernels and main.

    Args:
        board: What `boards.load` gave.

    Returns:
        File name -> text, of every C source and header and, except for "host", "linker.ld".

    Raises:
        InputError: The console's baud rate cannot be made from its clock, or its pins not be set.
    """
    if board.mcu is None or board.console is None:
        return {name: _shipped(name) for name in (*_HEADERS, "board_host.c")}
    defines = _defines(board, board.mcu, board.console)
    driver = _DRIVERS[board.mcu.uarts[board.console.uart].ip]
    counter = _COUNTERS[board.mcu.counter.ip if board.mcu.counter else "cortex"]
    verbatim = (*_HEADERS, "td_uart.h", "td_counter.h", driver.file, counter, "libc.c", "string.h")
    exceptions = _CORE_EXCEPTIONS if board.core.has_fault_status else _ARMV6M_EXCEPTIONS
    environment = _environment(board)
    return {
        **{name: _shipped(name) for name in verbatim},
        "td_registers.h": _render(environment, "td_registers.h.j2", defines=defines),
        "startup.c": _render(
            environment,
            "startup.c.j2",
            core=board.core,
            exceptions=exceptions,
            interrupts=board.mcu.interrupts,
        ),
        "board.c": _render(environment, "board.c.j2", board=board, steps=setup_steps(board)),
        "linker.ld": _render(
            environment,
            "linker.ld.j2",
            flash=board.flash,
            ram=board.ram,
            stack_bytes=board.stack_bytes,
        ),
    }


def setup_steps(board: Board) -> tuple[Step, ...]:
    """The register writes of td_board_init(), in order: the board's own, then the console's."""
    mcu, console = board.mcu, board.console
    if mcu is None or console is None:
        return ()
    pins = tuple(
        step
        for name, pin in (("sends", console.tx), ("receives", console.rx))
        if pin is not None and mcu.gpio is not None
        for step in _pin_steps(mcu.gpio, pin, f"{console.uart} {name}", name == "receives")
    )
    return (*board.setup, *pins, *mcu.uarts[console.uart].enable)


def _pin_steps(gpio: Gpio, pin: Pin, use: str, is_input: bool) -> tuple[Step, ...]:
    base, number = gpio.address + pin.port * gpio.stride, pin.number
    if gpio.ip == "nrf51_gpio":  # OUTSET; PIN_CNF: bit 0 output, bit 1 input buffer disconnected
        config = base + 0x700 + 4 * number
        if is_input:
            return (Step(config, f"{pin.pin}: {use}", clear=0b11),)
        high = Step(base + 0x508, f"{pin.pin}: idles high", set=1 << number)
        return (high, Step(config, f"{pin.pin}: {use}", set=0b1))
    clock = Step(
        gpio.enable_register,
        f"port {pin.pin[1]} clock ({gpio.source})",
        set=1 << (gpio.enable_bit + pin.port),
    )
    nibble = 4 * (number % 8)
    if gpio.ip == "stm32_gpio_v1":  # CRL, CRH: 0b0100 floating input, 0b1011 alternate push-pull
        register, mode = base + 4 * (number // 8), 0b0100 if is_input else 0b1011
        text = f"{pin.pin}: {use}"
        return (clock, Step(register, text, clear=0xF << nibble, set=mode << nibble))
    function = Step(
        base + 0x20 + 4 * (number // 8),
        f"{pin.pin}: alternate function {pin.function} (AFR)",
        clear=0xF << nibble,
        set=pin.function << nibble,
    )
    text = f"{pin.pin}: {use} (MODER)"
    mode_step = Step(base, text, clear=0b11 << 2 * number, set=0b10 << 2 * number)
    return (clock, function, mode_step)


def _defines(board: Board, mcu: Mcu, console: Console) -> dict[str, str]:
    uart = mcu.uarts[console.uart]
    defines = {
        "TD_CLOCK_HZ": f"{mcu.clock_hz}u",
        "TD_UART_ADDRESS": f"{uart.address:#010x}u",
        "TD_UART_DIVISOR": f"{_divisor(board, mcu, console, uart)}u /* {console.baud} baud */",
    }
    if uart.ip in ("stm32_usart_v2", "stm32_lpuart"):
        defines["TD_UART_FIFO"] = f"{int(uart.fifo)}"
    if uart.ip == "nrf51_uart":
        if console.tx is None or console.rx is None:
            raise InputError(
                f"{board.name}: the console of an {mcu.title} needs its pins",
                'add to [console]: tx = { pin = "P0.24" }, rx = { pin = "P0.25" }',
            )
        for role, pin in (("TX", console.tx), ("RX", console.rx)):
            defines[f"TD_UART_{role}_PIN"] = f"{32 * pin.port + pin.number}u"
    if mcu.counter is not None and mcu.counter.ip != "cortex":
        defines["TD_COUNTER_ADDRESS"] = f"{mcu.counter.address:#010x}u"
    else:
        defines["TD_HAS_DWT"] = f"{int(board.core.has_dwt)}"
    return defines


def _divisor(board: Board, mcu: Mcu, console: Console, uart: Uart) -> int:
    driver, clock_hz = _DRIVERS[uart.ip], uart.clock_hz or mcu.clock_hz
    divisor = driver.divisor(clock_hz, console.baud)
    low, high = driver.limits
    divisor = min(max(divisor, low), high)
    rate = driver.rate(clock_hz, divisor)
    if abs(rate / console.baud - 1) > _MAX_BAUD_ERROR:
        raise InputError(
            f"{board.name}: {console.uart} at {clock_hz} Hz makes {rate:.0f} baud, "
            f"not {console.baud}",
            "lower console.baud",
        )
    return divisor


def _environment(board: Board) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals.update(
        generated=f"Generated by tinydeploy {__version__} for {board.name}.",
        hex=lambda value: f"{value:#010x}",
        comment=_comment,
    )
    return environment


def _render(environment: Environment, template: str, **values: object) -> str:
    return environment.get_template(template).render(**values)


def _comment(text: str) -> str:
    """A user's text as the inside of a C comment: one line of printable ASCII that ends nothing."""
    plain = "".join(c if " " <= c <= "~" else " " for c in text)
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")


def _folder() -> Path:
    return paths.data("firmware_templates") / "common"


def _shipped(name: str) -> str:
    return (_folder() / name).read_text(encoding="utf-8")
