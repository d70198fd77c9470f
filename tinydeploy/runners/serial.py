"""A board on the desk, at a serial port: its flash holds the firmware already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from ..desk import usb_numbers
from ..errors import InputError, RequestError
from .base import ClosesOnExit, Unit

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

    from ..board import Board
    from ..firmware import Firmware
    from .base import Transport

AUTO = "auto"
_PORTS = "--port auto | /dev/ttyACM0 | COM3 | socket://host:1234 | rfc2217://host:1234"

_MOST_READ_BYTES = 4096
_TICK_S = 0.02  # how long one read of the port waits
_WRITE_S = 2.0  # a port that takes nothing for so long loses what is written, as a line does
_RESET_S = 0.1


class SerialRunner:
    """The `Runner` of real boards.

    Args:
        port: What pyserial opens (/dev/ttyACM0, COM3, socket://host:1234, rfc2217://…), or "auto"
            for the one with the board's USB ids.
        tell: Told which port was taken, and what else there is.
    """

    name = "serial"
    version = f"pyserial {serial.__version__}"

    def __init__(self, port: str = AUTO, tell: Callable[[str], None] = lambda line: None) -> None:
        self._port = port
        self._tell = tell

    def check(self, board: Board) -> None:
        if board.console is None:
            raise RequestError(f"{board.name} has no serial port", "verify there: --on host")
        if self._port == AUTO:
            find_port(board, list_ports.comports())
        elif "://" in self._port:
            _check_url(self._port)

    def open(self, firmware: Firmware) -> Transport:
        board = firmware.board
        self.check(board)
        name = self._port
        if name == AUTO:
            name, told = find_port(board, list_ports.comports())
            self._tell(told)
        return SerialTransport(name, board)


class SerialTransport(ClosesOnExit):
    """An open serial port."""

    counts: Unit = "cycles"

    def __init__(self, name: str, board: Board) -> None:
        assert board.console is not None
        self._name = name
        self._lost = ""
        self._heard = False
        self._baud = board.console.baud
        self._port = _open(name, self._baud)
        try:
            self._reset(board.usb.reset if board.usb else "none")
            self._port.reset_input_buffer()
        except (OSError, serial.SerialException) as error:
            self.close()
            raise RequestError(f"cannot use {name}: {_reason(error)}") from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            return
        except (OSError, serial.SerialException) as error:
            self._end(error)

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        received = b""
        try:
            while not received:
                received = self._port.read(1)
                if time.monotonic() >= deadline:
                    break
            while received and len(received) < _MOST_READ_BYTES and (more := self._waiting()):
                received += self._port.read(min(more, _MOST_READ_BYTES))
        except (OSError, TypeError, serial.SerialException) as error:
            # TypeError: pyserial's, where another thread has closed the port.
            if not received:
                self._end(error)
        self._heard = self._heard or bool(received)
        return received

    def scale(self, ticks: int, hz: int) -> int:
        """Cycles of the core: what its counter counts, at whatever speed it runs."""
        del hz
        return ticks

    def diagnose(self) -> str | None:
        if self._lost or self._heard:
            return self._lost or None
        return (
            f"{self._name} is silent at {self._baud} baud; is tinydeploy's firmware in the flash, "
            "and this the board's port?"
        )

    def close(self) -> None:
        with suppress(OSError, serial.SerialException):
            self._port.close()

    def _waiting(self) -> int:
        return int(self._port.in_waiting)

    def _end(self, error: Exception) -> None:
        self._lost = f"{self._name} is gone, was it unplugged? ({_reason(error)})"
        raise EOFError from error

    def _reset(self, how: str) -> None:
        """Resets the microcontroller where the port can; otherwise it goes on as it is."""
        # A pseudo-terminal or a socket in the board's place has neither line.
        with suppress(OSError, serial.SerialException):
            if how == "dtr":
                self._port.dtr = False
                time.sleep(_RESET_S)
                self._port.dtr = True
                time.sleep(_RESET_S)
            elif how == "break":
                self._port.send_break(_RESET_S)
                time.sleep(_RESET_S)


def find_port(board: Board, ports: Sequence[ListPortInfo]) -> tuple[str, str]:
    """The port of the board, by its USB ids.

    Args:
        board: Any but the host.
        ports: All that there are.

    Returns:
        Its name, and a sentence that says so and what else there is.

    Raises:
        RequestError: None of them is the board's, or several are.
    """
    there = ", ".join(map(_shown, ports)) or "no serial port at all"
    example = f"--port {ports[0].device if ports else '/dev/ttyUSB0'}"
    if board.usb is None:
        raise RequestError(
            f"{board.name} has no USB port of its own; there is: {there}",
            f"connect its console to a USB adapter and name that: {example}",
        )
    wanted = {usb_numbers(name) for name in board.usb.ids}
    found = [port for port in ports if (port.vid, port.pid) in wanted]
    ids = " or ".join(board.usb.ids)
    if not found:
        raise RequestError(
            f"no serial port has the USB ids of {board.title}, {ids}; there is: {there}",
            f"plug it in, or name its port: {example}",
        )
    if len(found) > 1:
        raise RequestError(
            f"{len(found)} serial ports may be {board.title}: {', '.join(map(_shown, found))}",
            f"name one: --port {found[0].device}",
        )
    others = [_shown(port) for port in ports if port is not found[0]]
    rest = f"; also there: {', '.join(others)}" if others else ""
    return found[0].device, f"{board.title} is at {_shown(found[0])}{rest}"


def _shown(port: ListPortInfo) -> str:
    if port.vid is None:
        return str(port.device)
    number = f", serial number {port.serial_number}" if port.serial_number else ""
    return f"{port.device} ({port.vid:04x}:{port.pid:04x}{number})"


def _check_url(name: str) -> None:
    """Raises InputError for a network port without its number: pyserial trips over it."""
    with suppress(ValueError):  # of a number that is none
        if not name.startswith(("socket://", "rfc2217://")) or urlsplit(name).port:
            return
    raise InputError(f"--port {name} cannot be opened: it names none", _PORTS)


def _open(name: str, baud: int) -> serial.SerialBase:
    # pyserial knows no time limit for writing to a terminal server.
    write_s = None if name.startswith("rfc2217:") else _WRITE_S
    try:
        # Two programs at one port would each get some of the bytes.
        return serial.serial_for_url(
            name, baud, timeout=_TICK_S, write_timeout=write_s, exclusive=True
        )
    except ValueError as error:
        raise InputError(
            f"--port {name} cannot be opened: it names none",
            _PORTS,
        ) from error
    except (OSError, serial.SerialException) as error:
        there = ", ".join(_shown(port) for port in list_ports.comports()) or "none"
        raise RequestError(
            f"cannot open {name}: {_reason(error)}; serial ports: {there}", _hint(name, error)
        ) from error


def _hint(name: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == 13:
        return "add yourself to the port's group and log in again: sudo usermod -aG dialout $USER"
    if number == 11:
        return f"another program has it open: fuser {name}"
    return "tinydeploy verify MODEL --board BOARD --on serial --port auto"


def _reason(error: Exception) -> str:
    """The system's own words, without pyserial's around them."""
    number = getattr(error, "errno", None)
    if number is not None and isinstance(error, OSError):
        import os

        return os.strerror(number)
    return str(error).strip()
