"""What a runner offers: a way to start a firmware and exchange bytes with it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware

Unit = Literal["instructions", "cycles", "nanoseconds"]


class Transport(Protocol):
    """A byte stream to a running firmware; a context manager that closes itself.

    Attributes:
        counts: What the device's counter counts, once `scale()` has been applied.
    """

    @property
    def counts(self) -> Unit: ...

    def write(self, data: bytes) -> None:
        """Sends bytes to the device's console.

        Raises:
            EOFError: The device's end is gone.
        """

    def read(self, timeout_s: float) -> bytes:
        """Waits for bytes from the device's console.

        Returns: What has arrived, at least one byte; b"" when nothing came in time, or earlier
            when it is certain that nothing will come before something is written.

        Raises:
            EOFError: The device's end is gone, and all that it sent has been read.
        """

    def scale(self, ticks: int, hz: int) -> int:
        """What `ticks` of the device's counter, which runs at `hz`, are in `counts`."""

    def diagnose(self) -> str | None:
        """Why the device says nothing, as far as can be known from outside; half a sentence."""

    def close(self) -> None:
        """Ends whatever runs. May be called again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ClosesOnExit:
    """The context manager half of a `Transport`."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Runner(Protocol):
    """A way to run a firmware.

    Attributes:
        name: Its key in `RUNNERS`.
        version: Of the program or package that runs the firmware; "" when it cannot be had.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def check(self, board: Board) -> None:
        """Raises RequestError, with a hint, when `board` cannot run here or a tool is missing."""

    def open(self, firmware: Firmware) -> Transport:
        """Starts the firmware from reset.

        Raises:
            RequestError: It cannot be started.
        """
