"""A running Renode, told what to do through its monitor on standard input and output."""

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
from ..errors import RequestError

# The prompt says that the monitor listens: what comes before it is lost.
_PROMPT = re.compile(rb"^\(monitor\) ", re.MULTILINE)
_ECHO = re.compile(r"^\([\w.-]+\) ")
# Renode's own platforms download the names of registers, which only its log would use.
_NO_SVD = re.compile(r"Failed to download \S+\.svd")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ARGUMENTS = ("--disable-gui", "--console", "--plain", "--hide-log")
_MOST_BYTES = 1 << 20
_MOST_MESSAGE = 300
_QUIT_S = 1.0


class Ended(Exception):
    """Renode is not there any more; says how it ended."""


class Monitor:
    """Starts Renode; a context manager that always ends it.

    Standard input is a pipe of ours: Renode also ends when we do, however that happens.

    Args:
        argv: How it is started, without arguments.
        folder: Its working directory.
        start_s: How long it may take until it listens.

    Raises:
        RequestError: It does not start, or not in time.
    """

    def __init__(self, argv: Sequence[str], folder: Path, start_s: float) -> None:
        self._stack = ExitStack()
        self._pending = bytearray()
        self._marks = 0
        try:
            self._stderr = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            self._process = self._stack.enter_context(
                process.started(
                    [*argv, *_ARGUMENTS],
                    cwd=folder,
                    stderr=self._stderr.fileno(),
                    dies_with_us=True,
                )
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._in = self._process.stdin.fileno()
            self._out = self._process.stdout.fileno()
            self._await(_PROMPT, start_s, "start")
        except BaseException:
            self._stack.close()
            raise

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def command(self, text: str, limit_s: float) -> str:
        """What the monitor answers to a command, without its echo; "" for nothing.

        Raises:
            Ended: Renode is gone.
            RequestError: No answer came in time.
        """
        self._marks += 1
        mark = f"td-answer-{self._marks}"
        self._write(f'{text}\necho "{mark}"\n'.encode(), limit_s)
        end = re.compile(rf"^{mark}\n".encode(), re.MULTILINE)
        told = _CONTROL.sub("", self._await(end, limit_s, text).decode("utf-8", "replace"))
        lines = (line.strip() for line in told.splitlines())
        typed = ("", text, f'echo "{mark}"')
        return "\n".join(x for x in lines if x not in typed and not _ECHO.match(f"{x} "))

    def do(self, text: str, limit_s: float) -> None:
        """Carries out a command that has nothing to answer.

        Raises:
            Ended: Renode is gone.
            RequestError: It answered: that is what is wrong, in Renode's own words. Without a
                network it goes on.
        """
        answer = self.command(text, limit_s)
        if answer and not _NO_SVD.search(answer):
            raise RequestError(f"Renode refuses {text!r}: {reason(answer)}")

    def close(self) -> None:
        """Ends Renode: asks first. May be called again."""
        with suppress(OSError, ValueError):
            if not self.ended:
                os.set_blocking(self._in, False)
                os.write(self._in, b"\nquit\n")
                self._wait()
        self._stack.close()

    def last_words(self) -> str:
        """How it ended, and the last that it said on standard error or output."""
        self._wait()  # its pipes end before it does
        code = self._process.poll()
        if code is None:
            how = "closed its monitor"
        else:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = os.pread(self._stderr.fileno(), 1 << 16, 0).decode("utf-8", "replace")
        said = reason(said) or reason(self._pending.decode("utf-8", "replace"))
        return f"Renode {how}{f': {said}' if said else ''}"

    def _wait(self) -> None:
        """Gives it a moment to end."""
        deadline = time.monotonic() + _QUIT_S
        while not self.ended and time.monotonic() < deadline:
            time.sleep(0.005)

    def _write(self, data: bytes, limit_s: float) -> None:
        try:
            if not select.select([], [self._in], [], limit_s)[1]:
                raise RequestError(f"Renode's monitor took nothing for {limit_s:g} s")
            os.write(self._in, data)
        except (BrokenPipeError, ValueError) as error:
            raise Ended(self.last_words()) from error

    def _await(self, what: re.Pattern[bytes], limit_s: float, doing: str) -> bytes:
        """What comes before a pattern in its output; that and the pattern are taken away."""
        deadline = time.monotonic() + limit_s
        while (found := what.search(self._pending)) is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                said = reason(self._pending.decode("utf-8", "replace"))
                raise RequestError(
                    f"Renode did not answer {doing[:80]!r} within {limit_s:g} s"
                    + (f"; it said: {said}" if said else "")
                )
            if not select.select([self._out], [], [], left_s)[0]:
                continue
            chunk = os.read(self._out, 65536)
            if not chunk:
                self._wait()
                raise Ended(self.last_words())
            # Its lines end in "\n\r" or "\r\r\n", as it likes.
            self._pending = (self._pending + chunk.replace(b"\r", b""))[-_MOST_BYTES:]
        before = bytes(self._pending[: found.start()])
        del self._pending[: found.end()]
        return before


def reason(answer: str) -> str:
    """The lines of an answer that say what is wrong, as one line."""
    lines = [line.strip() for line in _CONTROL.sub("", answer).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("at ", "There was an error"))]
    lines = [line for line in lines if not _ECHO.match(f"{line} ")]
    text = " ".join(lines)
    return text if len(text) <= _MOST_MESSAGE else text[: _MOST_MESSAGE - 1] + "…"
