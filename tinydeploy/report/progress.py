"""What goes on during a long command, on standard error; gone when it is over."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from .terminal import printable


class Progress:
    """A context manager with one line that changes; nothing at all where nobody watches.

    Args:
        silent: Show nothing. So it is too when standard error is no terminal.
    """

    _WIDTH = 72

    def __init__(self, *, silent: bool) -> None:
        self._shown = not silent and sys.stderr is not None and sys.stderr.isatty()

    def line(self, text: str) -> None:
        """A step of the build, as SCons names it."""
        self._write(printable(text, self._WIDTH))

    def count(self, done: int, total: int) -> None:
        """`done` of `total` inputs have run."""
        self._write(f"verifying {done} of {total} inputs")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
