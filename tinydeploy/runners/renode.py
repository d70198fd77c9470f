"""Any board in Renode, on a platform made from the board's TOML."""

from __future__ import annotations

import os
import re
import select
import tempfile
import time
import tty
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequestError, TinydeployError
from ..renode import find, platform
from ..renode.monitor import Ended, Monitor, reason
from .base import ClosesOnExit, Unit

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware
    from ..renode.find import Installation
    from .base import Transport

_MOST_READ_BYTES = 65536
_LOOK_S = 1.0  # how often the limits are looked at while nothing comes
_LOG = "renode.log"
_WIRE = "wire"


@dataclass(frozen=True)
class Limits:
    """How long things may take.

    Attributes:
        start_s: From starting Renode until its monitor listens.
        command_s: A command of the monitor, such as loading the platform.
        host_s: A whole session, in our time.
        virtual_s: A whole session, in the board's time.
    """

    start_s: float = 120.0
    command_s: float = 120.0
    host_s: float = 3600.0
    virtual_s: float = 24 * 3600.0


class RenodeRunner:
    """The `Runner` that starts Renode.

    Args:
        program: Renode, or the folder that it lies in; None looks where it usually is.
        limits: How long things may take.
        tell: Told, at the end, how much was run.
    """

    name = "renode"

    def __init__(
        self,
        program: str | None = None,
        limits: Limits = Limits(),
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._program = program
        self._limits = limits
        self._tell = tell

    @property
    def version(self) -> str:
        try:
            return find.find(self._program).version
        except TinydeployError:
            return ""

    def check(self, board: Board) -> None:
        platform.check(board)
        self._installation(board)

    def open(self, firmware: Firmware) -> Transport:
        platform.check(firmware.board)
        found = self._installation(firmware.board)
        function = None if found.right_sel else _selecting(firmware)
        if function:
            raise RequestError(
                f"Renode {found.version} carries out SSUB8 and SEL wrongly, which {function} uses",
                find.HINT,
            )
        return RenodeTransport(found, firmware, self._limits, self._tell)

    def _installation(self, board: Board) -> Installation:
        found = find.find(self._program)
        if board.core.has_helium and not found.helium:
            raise RequestError(
                f"Renode {found.version} has no Helium, which {board.core.title} code uses",
                "use --on qemu, or a newer Renode" if board.qemu else "get a newer Renode",
            )
        missing = platform.newer_than(board, found.numbers)
        if missing:
            raise RequestError(
                f"Renode {found.version} has no {missing}, the console of {board.name}", find.HINT
            )
        return found


class RenodeTransport(ClosesOnExit):
    """A board in a running Renode; the console is a pseudo-terminal, so there is no port to share.

    Args:
        found: The Renode to start.
        firmware: For a board that `platform.check` accepts.
        limits: How long things may take.
        tell: Told, at the end, how much was run.
    """

    counts: Unit = "instructions"

    def __init__(
        self,
        found: Installation,
        firmware: Firmware,
        limits: Limits,
        tell: Callable[[str], None],
    ) -> None:
        self._firmware = firmware
        self._limits = limits
        self._tell = tell
        self._over = ""
        self._deadline = time.monotonic() + limits.host_s
        self._next_look = 0.0
        self._wire = -1
        self._stack = ExitStack()
        try:
            self._folder = Path(self._stack.enter_context(_temporary_folder()))
            self._monitor = Monitor(found.argv, self._folder, limits.start_s)
            self._stack.callback(self._monitor.close)
            self._set_up(dwt=found.exact_dwt)
        except Ended as ended:
            self._stack.close()
            raise RequestError(str(ended), find.HINT) from ended
        except BaseException:
            self._stack.close()
            raise

    def write(self, data: bytes) -> None:
        # A firmware that does not read loses bytes, as on a real line.
        with suppress(BlockingIOError):
            try:
                while data:
                    data = data[os.write(self._wire, data) :]
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                raise EOFError from error

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline - time.monotonic(), 0.0)
            if select.select([self._wire], [], [], min(left_s, _LOOK_S))[0]:
                with suppress(OSError):  # the other end is closed: EIO
                    if received := os.read(self._wire, _MOST_READ_BYTES):
                        return received
                raise EOFError
            self._look()
            if left_s <= _LOOK_S:
                return b""

    def scale(self, ticks: int, hz: int) -> int:  # noqa: ARG002
        """Instructions, from the ticks of a counter.

        All counters of the platform run at the clock after reset, whatever rate `hz` the firmware
        believes to have set up.
        """
        board = self._firmware.board
        assert board.mcu is not None
        return round(ticks * platform.hz(board) / board.mcu.clock_hz)

    def diagnose(self) -> str | None:
        if self._over:
            return self._over
        if self._monitor.ended:
            return self._monitor.last_words()
        try:
            address = int(self._answer("sysbus.cpu PC") or "0", 0)
            place = self._firmware.symbol_at(address & ~1)
            at = f"{address:#010x}{f' ({place})' if place else ''}"
            if self._answer("sysbus.cpu IsHalted") == "True":
                return f"its core is halted at {at}{self._logged()}"
            ran = f"{self.instructions()} instructions in {self.virtual_s():.3f} s of virtual time"
            return f"its core is at {at} after {ran}{self._logged()}"
        except Ended as ended:
            return str(ended)
        except (TinydeployError, ValueError):
            return "Renode does not answer"

    def instructions(self) -> int:
        """What the core has carried out since reset."""
        return int(self._answer("sysbus.cpu ExecutedInstructions"), 0)

    def virtual_s(self) -> float:
        """The board's own time since reset, in seconds."""
        return parse_elapsed(self._answer("machine ElapsedVirtualTime"))

    def close(self) -> None:
        if self._wire >= 0:
            if not self._over and not self._monitor.ended:
                with suppress(Ended, TinydeployError, ValueError):
                    count, seconds = self.instructions(), self.virtual_s()
                    self._tell(f"Renode ran {count} instructions, {seconds:.3f} s of virtual time")
            os.close(self._wire)
            self._wire = -1
        self._stack.close()

    def _set_up(self, *, dwt: bool) -> None:
        board, limit_s, here = self._firmware.board, self._limits.command_s, f"@{self._folder}"
        (self._folder / "board.repl").write_text(platform.repl(board, dwt=dwt), encoding="utf-8")
        (self._folder / "firmware.elf").symlink_to(self._firmware.elf.resolve())
        self._monitor.do(f"logFile {here}/{_LOG}", limit_s)
        for command in platform.commands(board, here, "board.repl", "firmware.elf"):
            self._monitor.do(command, limit_s)
        # What is sent to a port that is being set up can leave it deaf.
        self._monitor.command(f'emulation RunFor "{platform.boot_s(board):.6f}"', limit_s)
        for command in (
            f'emulation CreateUartPtyTerminal "{_WIRE}" "{self._folder}/{_WIRE}"',
            f"connector Connect {platform.uart(board)} {_WIRE}",
        ):
            self._monitor.do(command, limit_s)
        try:
            self._wire = os.open(self._folder / _WIRE, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(self._wire)
        except OSError as error:
            raise RequestError(f"Renode made no terminal: {error.strerror}") from error
        self._monitor.command("start", limit_s)  # says "Starting emulation..."

    def _look(self) -> None:
        """Raises EOFError when Renode has ended, or a limit is passed."""
        now = time.monotonic()
        if self._monitor.ended:
            raise EOFError
        if now > self._deadline:
            self._over = f"it ran for more than {self._limits.host_s:g} s"
        elif now > self._next_look:
            self._next_look = now + _LOOK_S
            try:
                seconds = self.virtual_s()
            except Ended:
                raise EOFError from None
            if seconds > self._limits.virtual_s:
                self._over = f"it ran for more than {self._limits.virtual_s:g} s of virtual time"
        if self._over:
            raise EOFError

    def _answer(self, command: str) -> str:
        return self._monitor.command(command, self._limits.command_s)

    def _logged(self) -> str:
        """The last error in Renode's log, to be added to a sentence."""
        try:
            text = (self._folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        errors = [line for line in text.splitlines() if "[ERROR]" in line]
        said = reason(errors[-1].split("[ERROR]", 1)[1]) if errors else ""
        return f": {said}" if said else ""


def _selecting(firmware: Firmware) -> str | None:
    """The first function with an instruction SEL; None where there is none.

    Source: Armv7-M Architecture Reference Manual (DDI 0403), A5.3.14: SEL, encoding T1.
    """
    image = firmware.elf.read_bytes()
    for symbol in sorted(firmware.symbols.values(), key=lambda s: s.address):
        if not symbol.is_function:
            continue
        try:
            start = firmware.file_offset(symbol.address)
        except KeyError:
            continue
        halves = [
            int.from_bytes(image[at : at + 2], "little")
            for at in range(start, start + symbol.bytes, 2)
        ]
        if any(a & 0xFFF0 == 0xFAA0 and b & 0xF0F0 == 0xF080 for a, b in pairwise(halves)):
            return symbol.name
    return None


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a run, whose path Renode's monitor can read: ASCII, no spaces, no quotes.

    Raises:
        RequestError: There is no such place that can be written to.
    """
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = os.path.realpath(place)
        if re.fullmatch(r"[\w./+-]+", path, re.ASCII) and os.access(path, os.W_OK | os.X_OK):
            # Not "renode-…": Renode takes that for its own, and removes it when it starts.
            return tempfile.TemporaryDirectory(prefix="tinydeploy-", dir=path)
    raise RequestError(f"Renode reads no file in {tempfile.gettempdir()}", "export TMPDIR=/tmp")


def parse_elapsed(told: str) -> float:
    """Seconds, from the monitor's answer to `machine ElapsedVirtualTime`.

    Raises:
        RequestError: It says no time.
    """
    found = re.search(r"TimeElapsed = (?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", told)
    if found is None:
        raise RequestError(f"Renode says no virtual time: {told[:80]!r}")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
