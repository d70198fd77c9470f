"""Serial ports without hardware: QEMU's pseudo-terminals, and a bad line in between."""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import serial
from serial.rfc2217 import PortManager

from tests.e2e.wirekit import Faulty
from tinydeploy import process
from tinydeploy.board import Board
from tinydeploy.runners.serial import SerialTransport


@dataclass
class Machine:
    """A QEMU that runs a board's firmware, its console at a port that anybody can open."""

    port: str
    process: Popen[bytes]

    def unplug(self) -> None:
        process.stop(self.process)


def _argv(board: Board, elf: Path, console: str) -> list[str]:
    assert board.qemu is not None
    ports = [*["-serial", "null"] * board.qemu.serial, "-serial", console]
    return [
        "qemu-system-arm", "-machine", board.qemu.machine, "-kernel", str(elf),
        "-icount", "shift=0,sleep=off", "-display", "none", "-monitor", "none", *ports,
    ]  # fmt: skip


@contextmanager
def on_terminal(board: Board, elf: Path) -> Iterator[Machine]:
    """The console is a pseudo-terminal."""
    with process.started(_argv(board, elf, "pty"), dies_with_us=True) as qemu:
        yield Machine(_terminal(qemu), qemu)


@contextmanager
def on_socket(board: Board, elf: Path) -> Iterator[Machine]:
    """The console is a TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    console = f"tcp:127.0.0.1:{number},server=on,wait=off"
    with process.started(_argv(board, elf, console), dies_with_us=True) as qemu:
        deadline = time.monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Machine(f"socket://127.0.0.1:{number}", qemu)


@contextmanager
def on_rfc2217(port: str) -> Iterator[str]:
    """A port of this machine as a terminal server (RFC 2217) offers it; its URL."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, _Terminal(port, timeout=0.01) as device:
                connection.settimeout(0.01)
                manager = PortManager(device, _Answers(connection))
                while not stop.is_set():
                    with suppress(TimeoutError):
                        if not (data := connection.recv(4096)):
                            break
                        device.write(b"".join(manager.filter(data)))
                    if data := device.read(device.in_waiting):
                        connection.sendall(b"".join(manager.escape(data)))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"rfc2217://127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            thread.join(5)


class _Terminal(serial.Serial):
    """A pseudo-terminal, which has no modem lines."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass


class _Answers:
    """Where the terminal server's own words go."""

    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


def _terminal(qemu: Popen[bytes]) -> str:
    """The name of the pseudo-terminal, as QEMU says it."""
    assert qemu.stdout is not None
    assert qemu.stderr is not None
    pipes = [qemu.stdout.fileno(), qemu.stderr.fileno()]
    said = b""
    deadline = time.monotonic() + 10
    while not (found := re.search(rb"redirected to (/dev/\S+)", said)):
        ready = select.select(pipes, [], [], max(deadline - time.monotonic(), 0))[0]
        assert ready, f"QEMU told no terminal: {said!r}"
        said += b"".join(os.read(pipe, 4096) for pipe in ready)
    return found[1].decode()


@dataclass
class Line:
    """A pseudo-terminal that leads to another one over a bad line."""

    port: str
    faults: Faulty


@contextmanager
def bad_line(board: Board, port: str, rate: float, seed: int = 1) -> Iterator[Line]:
    """Puts a line that hurts bytes between a port and whoever opens `Line.port`."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    stop = threading.Event()
    with Faulty(SerialTransport(port, board), rate, seed) as faults:

        def to_board() -> None:
            while not stop.is_set():
                if select.select([ours], [], [], 0.05)[0]:
                    faults.write(os.read(ours, 4096))

        def to_host() -> None:
            with suppress(EOFError):
                while not stop.is_set():
                    os.write(ours, faults.read(0.05))

        threads = [threading.Thread(target=run) for run in (to_board, to_host)]
        for thread in threads:
            thread.start()
        try:
            yield Line(os.ttyname(theirs), faults)
        finally:
            stop.set()
            for thread in threads:
                thread.join(5)
            os.close(ours)
            os.close(theirs)


class Switch:
    """Leads a terminal to a board that can be replaced by a fresh one."""

    def __init__(self, ours: int, board: Board, elf: Path) -> None:
        self._ours, self._board, self._elf = ours, board, elf
        self._stack = ExitStack()
        self._transport: SerialTransport | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._lock = threading.Lock()
        self._thread.start()

    def plug(self) -> None:
        """A board that has just been switched on, in place of whatever was there."""
        with self._lock:
            self._stack.close()
            machine = self._stack.enter_context(on_terminal(self._board, self._elf))
            transport = SerialTransport(machine.port, self._board)
            self._transport = self._stack.enter_context(transport)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                if self._transport is not None:
                    if select.select([self._ours], [], [], 0)[0]:
                        self._transport.write(os.read(self._ours, 4096))
                    os.write(self._ours, self._transport.read(0.005))
            time.sleep(0.001)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._stack.close()


@contextmanager
def switched(ours: int, board: Board, elf: Path) -> Iterator[Switch]:
    """A `Switch` at the inner end of a pseudo-terminal."""
    switch = Switch(ours, board, elf)
    try:
        yield switch
    finally:
        switch.close()
