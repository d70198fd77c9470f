"""Boards that are QEMU machines, in qemu-system-arm: one instruction is one virtual nanosecond."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import process
from ..errors import RequestError
from .pipe import PipeTransport

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware
    from .base import Transport

_PROGRAM = "qemu-system-arm"
_COLLECT_S = 0.0002
_INSTRUCTIONS_HZ = 1_000_000_000  # of virtual time, with -icount shift=0


class QemuRunner:
    """The `Runner` that starts QEMU, the console on its standard input and output."""

    name = "qemu"

    @property
    def version(self) -> str:
        if shutil.which(_PROGRAM) is None:
            return ""
        told = process.run([_PROGRAM, "--version"], timeout_s=10.0).stdout
        found = re.search(r"\d+(\.\d+)+", told)
        return found[0] if found else ""

    def check(self, board: Board) -> None:
        if board.qemu is None:
            raise RequestError(
                f"{board.name} is not a QEMU machine",
                f"use --on {board.runners[0]}" if board.runners else "tinydeploy boards",
            )
        if shutil.which(_PROGRAM) is None:
            raise RequestError(
                f"{_PROGRAM} is not installed",
                "Debian: apt install qemu-system-arm; macOS: brew install qemu",
            )

    def open(self, firmware: Firmware) -> Transport:
        self.check(firmware.board)
        return QemuTransport(qemu_argv(firmware), firmware)


def qemu_argv(firmware: Firmware) -> list[str]:
    """How QEMU is started with a firmware for a board that it has a machine for."""
    qemu = firmware.board.qemu
    assert qemu is not None
    # Of several ports the first ones lead nowhere; QEMU shows no windows and has no monitor.
    ports = [*["-serial", "null"] * qemu.serial, "-serial", "chardev:console"]
    return [
        _PROGRAM, "-machine", qemu.machine, "-kernel", str(firmware.elf),
        "-icount", "shift=0,sleep=off", "-display", "none", "-monitor", "none",
        "-chardev", "stdio,id=console,signal=off", *ports,
    ]  # fmt: skip


class QemuTransport(PipeTransport):
    """A running QEMU."""

    def __init__(self, argv: list[str], firmware: Firmware) -> None:
        super().__init__(argv, "instructions")
        self._firmware = firmware
        # Its two threads hand every received byte to each other: on one processor that takes
        # half the time (measured: 40 instead of 80 us a byte).
        if sys.platform.startswith("linux"):
            with suppress(OSError):
                os.sched_setaffinity(self.pid, {random.choice([*os.sched_getaffinity(0)])})

    def read(self, timeout_s: float) -> bytes:
        received = super().read(timeout_s)
        if received and self.poll(_COLLECT_S):
            # Bytes come one by one: to wake up for each costs as much as QEMU takes to send it.
            time.sleep(_COLLECT_S)
            with suppress(EOFError):
                received += super().read(0.0)
        return received

    def scale(self, ticks: int, hz: int) -> int:
        """Instructions, from the ticks of a timer that runs at `hz` of virtual time."""
        qemu = self._firmware.board.qemu
        rate = (qemu.clock_hz if qemu is not None else 0) or hz
        return round(ticks * _INSTRUCTIONS_HZ / rate) if rate else ticks
