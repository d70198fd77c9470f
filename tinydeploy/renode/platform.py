"""A board as Renode sees it: its platform description (.repl) and the commands that set it up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__, paths
from ..console import early_steps, setup_steps
from ..errors import RequestError
from . import models

if TYPE_CHECKING:
    from ..board import Board
    from ..mcu import Memory

# What Renode carries out between two looks at the clock, at its own 100 MIPS and 100 us.
_QUANTUM_INSTRUCTIONS = 10_000
_MOST_QUANTUM_S = 0.01
_BOOT_INSTRUCTIONS = 100_000
_WAIT_INSTRUCTIONS = 100_000 * 15  # a wait that is in vain: polls, and what one takes
# Where cycles are counted by a timer, which Renode moves on at the end of a quantum.
_TIMER_QUANTUM_INSTRUCTIONS = 100


@dataclass(frozen=True)
class _Peripheral:
    """An entry of the .repl, as the template prints it."""

    name: str
    model: str
    where: str
    arguments: tuple[str, ...]


def source(board: Board) -> str | None:
    """What the board is to Renode: its own platform, or the model of its console; None: nothing."""
    if board.mcu is None or board.console is None or not models.cpu_type(board.core):
        return None
    if board.renode is not None:
        return board.renode.platform
    model = models.UARTS.get(board.mcu.uarts[board.console.uart].ip)
    return model.model if model else None


def check(board: Board) -> None:
    """Raises RequestError when Renode has no model of the board's core or serial port."""
    if source(board) is not None:
        return
    hint = f"use --on {board.runners[0]}" if board.runners else "tinydeploy boards"
    if board.mcu is None or board.console is None:
        raise RequestError("Renode emulates boards, not this machine", hint)
    if not models.cpu_type(board.core):
        raise RequestError(f"Renode has no {board.core.title}", hint)
    ip, uart = board.mcu.uarts[board.console.uart].ip, board.console.uart
    raise RequestError(f"Renode has no model of {uart} of {board.name}, a {ip}", hint)


def newer_than(board: Board, version: tuple[int, ...]) -> str | None:
    """The model of the console of a board that `check` accepts, if that version has it not yet."""
    if board.renode is not None or board.mcu is None or board.console is None:
        return None
    model = models.UARTS[board.mcu.uarts[board.console.uart].ip]
    return model.model if model.since > version else None


def mips(board: Board) -> int:
    """Millions of instructions a second of virtual time: one a cycle of the board's clock."""
    assert board.mcu is not None
    return max(round(board.mcu.clock_hz / 1e6), 1)


def hz(board: Board) -> float:
    """Instructions a second of virtual time."""
    return mips(board) * 1e6


def boot_s(board: Board) -> float:
    """Virtual seconds that the firmware may need to come to its console, at most.

    Registers that the platform has not read as 0, so a wait for a clock takes its time.
    """
    setup, clock = early_steps(board)
    waits = sum(step.waits for step in (*setup, *setup_steps(board))) + any(s.waits for s in clock)
    return (_BOOT_INSTRUCTIONS + waits * _WAIT_INSTRUCTIONS) / hz(board)


def uart(board: Board) -> str:
    """The console's name for the monitor: "sysbus.lpuart1"."""
    assert board.console is not None
    return f"sysbus.{board.renode.uart if board.renode else board.console.uart}"


def repl(board: Board, *, dwt: bool = True) -> str:
    """The platform description of a board that `check` accepts.

    Args:
        dwt: With a cycle counter; Renode's is exact from 1.16 on, and firmware uses SysTick
            where there is none.
    """
    mcu, console = board.mcu, board.console
    assert mcu is not None
    assert console is not None
    uart = mcu.uarts[console.uart]
    clock_hz = uart.clock_hz or mcu.clock_hz
    peripherals = [_peripheral(console.uart, models.UARTS[uart.ip], uart.address, clock_hz)]
    if mcu.counter is not None and mcu.counter.ip in models.COUNTERS:
        model = models.COUNTERS[mcu.counter.ip]
        peripherals.append(_peripheral("counter", model, mcu.counter.address, mcu.clock_hz))
    return render(
        "platform.repl.j2",
        board,
        cpu=models.cpu_type(board.core),
        mips=mips(board),
        dwt=dwt and board.core.has_dwt,
        memories=_named(mcu.memories, {"cpu", "nvic", "dwt", *(p.name for p in peripherals)}),
        peripherals=peripherals,
    )


def commands(board: Board, folder: str, repl: str, elf: str) -> tuple[str, ...]:
    """What the monitor is told, to have a board ready to start; each is answered with nothing.

    Args:
        folder: Where the two files are, as the monitor says it: "$ORIGIN".
        repl, elf: Names of files there.
    """
    assert board.mcu is not None
    by_timer = board.mcu.counter is not None and board.mcu.counter.ip in models.COUNTERS
    quantum = _TIMER_QUANTUM_INSTRUCTIONS if by_timer else _QUANTUM_INSTRUCTIONS
    quantum_s = min(quantum / hz(board), _MOST_QUANTUM_S)
    described = board.renode.platform if board.renode else f"{folder}/{repl}"
    own = (
        # What a platform of Renode's sets for itself.
        f"sysbus.cpu PerformanceInMips {mips(board)}",
        f"sysbus.nvic Frequency {board.mcu.clock_hz}",
    )
    return (
        "logLevel 3",
        f'mach create "{board.name}"',
        f"machine LoadPlatformDescription {described}",
        *(own if board.renode else ()),
        f"sysbus LoadELF {folder}/{elf}",
        f"sysbus.cpu VectorTableOffset {board.vectors:#x}",
        f'emulation SetGlobalQuantum "{quantum_s:.6f}"',
        "emulation SetGlobalAdvanceImmediately true",
    )


def resc(board: Board, repl: str, elf: str) -> str:
    """The script that does all this, for a user to start by hand.

    Args:
        repl, elf: Names of files beside it.
    """
    return render(
        "run.resc.j2",
        board,
        script=f"{board.name}.resc",
        commands=commands(board, "$ORIGIN", repl, elf),
        uart=uart(board),
    )


def render(template: str, board: Board, **values: object) -> str:
    """A template of firmware_templates/renode; `title` is fit to be quoted there."""
    environment = Environment(
        loader=FileSystemLoader(paths.data("firmware_templates") / "renode"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    title = re.sub(r"[\"\\$]", "'", board.title)
    return environment.get_template(template).render(
        version=__version__, board=board, title=title, **values
    )


def _named(memories: Sequence[Memory], taken: set[str]) -> list[tuple[str, Memory]]:
    """The memories under names that a .repl may have, none of them taken."""
    found = []
    for memory in memories:
        name = re.sub(r"\W|^(?=\d)", "_", memory.name, flags=re.ASCII)
        while name in taken:
            name += "_memory"
        taken.add(name)
        found.append((name, memory))
    return found


def _peripheral(name: str, model: models.Peripheral, address: int, hz: int) -> _Peripheral:
    where = f"0x{address:08X}"
    return _Peripheral(
        name,
        model.model,
        f"<{where}, +{model.bytes:#x}>" if model.bytes else where,
        (*((f"{model.clock}: {hz}",) if model.clock else ()), *model.arguments),
    )
