"""A transport over the standard input and output of a program."""

from __future__ import annotations

import os
import re
import select
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from .. import process
from .base import ClosesOnExit, Unit

_MOST_READ_BYTES = 65536
_MOST_STDERR_BYTES = 2000
# The line of a program's last words that says what was wrong; the rest is usage and traces.
_REASON = re.compile(r"error|unsupported|could not|cannot|not found|invalid", re.IGNORECASE)


class PipeTransport(ClosesOnExit):
    """Talks to a program that is the device.

    Args:
        argv: How it is started.
        counts: What its counter counts.
        counts_hz: How many of those a second of the device's time has; 0 when its counter's own
            ticks are meant.
    """

    def __init__(self, argv: Sequence[str | Path], counts: Unit, counts_hz: int = 0) -> None:
        self.counts: Unit = counts
        self._counts_hz = counts_hz
        self._name = Path(argv[0]).name
        self._stack = ExitStack()
        try:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            self._stack.callback(self._stderr.close)
            self._process = self._stack.enter_context(
                process.started(argv, stderr=self._stderr.fileno(), dies_with_us=True)
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._in = self._process.stdin.fileno()
            self._out = self._process.stdout.fileno()
            os.set_blocking(self._in, False)
        except BaseException:
            self._stack.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, data: bytes) -> None:
        # A program that does not read, and so fills its pipe, loses bytes: as a real line does.
        with suppress(BlockingIOError):
            try:
                os.write(self._in, data)
            except BrokenPipeError as error:
                raise EOFError from error

    def read(self, timeout_s: float) -> bytes:
        if not self.poll(timeout_s):
            return b""
        received = os.read(self._out, _MOST_READ_BYTES)
        if not received:
            raise EOFError
        return received

    def poll(self, timeout_s: float) -> bool:
        """Whether there is something to read, or the end, within that time."""
        return bool(select.select([self._out], [], [], max(timeout_s, 0.0))[0])

    def scale(self, ticks: int, hz: int) -> int:
        return round(ticks * self._counts_hz / hz) if self._counts_hz and hz else ticks

    def diagnose(self) -> str | None:
        code = self._exit_code()
        if code is None:
            return None
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = self.stderr().splitlines()
        if not said:
            return f"{self._name} {how}"
        reason = next((line for line in said if _REASON.search(line)), said[-1])
        return f"{self._name} {how}: {reason.removeprefix(self._name + ': ')}"

    def stderr(self) -> str:
        """The end of what the program wrote to its standard error so far."""
        size = os.fstat(self._stderr.fileno()).st_size
        offset = max(size - _MOST_STDERR_BYTES, 0)
        # pread: the program writes through the same file offset
        text = os.pread(self._stderr.fileno(), _MOST_STDERR_BYTES, offset)
        return text.decode("utf-8", "replace").strip()

    def close(self) -> None:
        self._stack.close()

    def _exit_code(self) -> int | None:
        """Its exit code, None while it runs; one that is just ending is given a moment."""
        deadline = time.monotonic() + 0.2
        while self._process.poll() is None and self._ended_output():
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        return self._process.returncode

    def _ended_output(self) -> bool:
        """Whether its standard output is at its end, as it is shortly before it ends."""
        poll = select.poll()
        poll.register(self._out, select.POLLHUP)
        return any(event & select.POLLHUP for _, event in poll.poll(0))
