"""Runs the firmware that was built for this machine, as a program."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from ..errors import RequestError
from .pipe import PipeTransport

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware
    from .base import Transport


class HostRunner:
    """The `Runner` of the board "host": the wire over standard input and output."""

    name = "host"
    version = f"{platform.system()} {platform.machine()}"

    def check(self, board: Board) -> None:
        if board.name != "host":
            raise RequestError(
                f"{board.name} is built for {board.core.title}, which this machine cannot run",
                "tinydeploy verify MODEL --board host",
            )

    def open(self, firmware: Firmware) -> Transport:
        return PipeTransport([firmware.elf], "nanoseconds", counts_hz=1_000_000_000)
