"""A board's C: start-up, linker script, console driver, cycle counter."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment

from .. import __version__, paths
from ..board import Board, Console
from ..bootblocks import Block, blocks
from ..console import early_steps, setup_steps
from ..errors import InputError
from ..mcu import Mcu
from ..rates import DRIVERS, rate_divisor
from . import rendering

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


# Vectors 2 to 6 count for the checksum that an LPC wants in vector 7.
_CHECKSUM = 5

_COUNTERS = {"cortex": "counter_cortex.c", "nrf51_timer": "counter_nrf51_timer.c"}


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
    assert board.flash is not None
    defines = _defines(board, board.mcu, board.console)
    driver = DRIVERS[board.mcu.uarts[board.console.uart].ip]
    counter = _COUNTERS[board.mcu.counter.ip if board.mcu.counter else "cortex"]
    verbatim = [*_HEADERS, "td_uart.h", "td_counter.h", driver.file, counter, "libc.c", "string.h"]
    if board.mcu.watchdog is not None:
        verbatim += ["td_watchdog.h", f"watchdog_{board.mcu.watchdog.ip}.c"]
    exceptions = _CORE_EXCEPTIONS if board.core.has_fault_status else _ARMV6M_EXCEPTIONS
    boot, wanted = board.mcu.boot, blocks(board.mcu.boot, board.flash)
    checksum = exceptions[:_CHECKSUM] if boot is not None and boot.ip == "lpc_checksum" else ()
    environment = _environment(board)
    files = {
        **{name: _shipped(name) for name in verbatim},
        "td_registers.h": _render(environment, "td_registers.h.j2", defines=defines),
        "startup.c": _render(
            environment,
            "startup.c.j2",
            core=board.core,
            exceptions=exceptions,
            interrupts=board.mcu.interrupts,
            checksum=checksum,
        ),
        "board.c": _board_c(environment, board),
        "linker.ld": _render(
            environment,
            "linker.ld.j2",
            flash=board.flash,
            ram=board.ram,
            stack_bytes=board.stack_bytes,
            parts=_parts(board, wanted),
            checksum=checksum,
        ),
    }
    if boot is not None and wanted:
        files["boot.c"] = _render(environment, "boot.c.j2", blocks=wanted, source=boot.source)
    return files


def _board_c(environment: Environment, board: Board) -> str:
    (setup, clock), steps = early_steps(board), setup_steps(board)
    every = (*setup, *clock, *steps)
    return _render(
        environment,
        "board.c.j2",
        board=board,
        setup=setup,
        clock=clock,
        steps=steps,
        modified=sorted({s.bytes for s in every if (s.clear or s.set) and not s.write_only}),
        awaited=sorted({s.bytes for s in every if s.wait or s.wait_clear}),
        pauses=any(s.pause for s in every),
    )


def _parts(board: Board, wanted: tuple[Block, ...]) -> list[dict[str, str | int]]:
    """What comes first in the flash, in order: each section's name, and the bytes before it."""
    assert board.mcu is not None
    assert board.flash is not None
    vectors = board.vectors - board.flash.origin
    vectors_end = vectors + 4 * (16 + board.mcu.interrupts)
    parts = [(vectors, vectors_end - vectors, ".vectors")]
    for i, block in enumerate(wanted):
        offset = vectors_end if block.offset is None else block.offset
        parts.append((offset, len(block.data), f".boot_{i}"))
    found: list[dict[str, str | int]] = []
    end = 0
    for offset, size, section in sorted(parts):
        found.append({"gap": offset - end, "section": section})
        end = offset + size
    return found


def _defines(board: Board, mcu: Mcu, console: Console) -> dict[str, str]:
    uart = mcu.uarts[console.uart]
    defines = {
        "TD_RESET_HZ": f"{mcu.clock_hz}u /* the processor's clock after reset */",
        "TD_RATED_HZ": f"{mcu.rated_hz}u",
        "TD_UART_ADDRESS": f"{uart.address:#010x}u",
        "TD_UART_DIVISOR": _divisor(board.name, mcu, console),
    }
    if uart.ip in ("stm32_usart_v2", "stm32_lpuart"):
        defines["TD_UART_FIFO"] = f"{int(uart.fifo)}"
    if uart.ip in ("pl011", "sam_usart"):
        defines["TD_UART_CONTROL"] = f"{uart.control:#x}u"
    if uart.ip in ("efr32_usart", "efr32s2_usart"):
        defines["TD_UART_SERIES"] = "2" if uart.ip == "efr32s2_usart" else "1"
    if uart.ip in ("ns16550", "lpc_uart"):
        defines["TD_UART_FRACTION"] = f"{int(uart.ip == 'lpc_uart')}"
    if uart.ip in ("nrf_uarte", "nrf54_uarte"):
        defines["TD_UART_NRF54"] = f"{int(uart.ip == 'nrf54_uarte')}"
    if uart.ip in ("nrf51_uart", "nrf_uarte", "nrf54_uarte"):
        if console.tx is None or console.rx is None:
            raise InputError(
                f"{board.name}: the console of an {mcu.title} needs its pins",
                'add to [console]: tx = { pin = "P0.24" }, rx = { pin = "P0.25" }',
            )
        for role, pin in (("TX", console.tx), ("RX", console.rx)):
            defines[f"TD_UART_{role}_PIN"] = f"{32 * pin.port + pin.number}u"
    if uart.divider:
        defines["TD_UART_DIVIDER"] = f"{uart.divider:#010x}u"
    if mcu.watchdog is not None:
        defines["TD_WATCHDOG_ADDRESS"] = f"{mcu.watchdog.address:#010x}u"
    if mcu.counter is not None and mcu.counter.ip != "cortex":
        defines["TD_COUNTER_ADDRESS"] = f"{mcu.counter.address:#010x}u"
    else:
        defines["TD_HAS_DWT"] = f"{int(board.core.has_dwt)}"
    return defines


def _divisor(name: str, mcu: Mcu, console: Console) -> str:
    reset, rated = (rate_divisor(name, mcu, console, rated=rated) for rated in (False, True))
    value = f"{reset}u" if rated == reset else f"(td_clock_is_rated ? {rated}u : {reset}u)"
    return f"{value} /* {console.baud} baud */"


def _environment(board: Board) -> Environment:
    environment = rendering.environment(_folder())
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
