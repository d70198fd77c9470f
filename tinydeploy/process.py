"""The one way to start programs: argument lists, a time limit, never a shell.

Every program gets its own process group, and the whole group is ended when the time is up, when
the user presses Ctrl-C, and when the code that started it leaves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import RequestError

# From the request to end until the order to: time to remove half-written files.
_GRACE_S = 3.0
# After a program ended, what it left in its pipes; a background process may hold them open.
_DRAIN_S = 2.0


@dataclass(frozen=True)
class Result:
    """What a finished program left.

    Attributes:
        argv: How it was started.
        returncode: Its exit code, negative for a signal.
        stdout, stderr: Decoded as UTF-8; bytes that are not become U+FFFD.
        duration_s: From start to end.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration_s: float


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """Runs a program to its end, whatever its exit code.

    Args:
        argv: The program and its arguments.
        timeout_s: When to end it.
        cwd: Its working directory.
        env: Its whole environment; ours when None.
        on_line: Called with each line of its standard output as it comes, from another thread.

    Raises:
        RequestError: It could not be started, or did not end in time.
    """
    start = time.monotonic()
    with started(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = _Reader(process.stdout, on_line), _Reader(process.stderr, None)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise RequestError(f"{Path(argv[0]).name} did not end within {timeout_s:g} s") from None
        stdout, stderr = out.text(), err.text()
    duration_s = time.monotonic() - start
    return Result(tuple(map(str, argv)), process.returncode, stdout, stderr, duration_s)


@contextmanager
def started(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.PIPE,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    dies_with_us: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, ended with all its children when the block is left.

    Args:
        dies_with_us: Also ended when we are killed (on Linux): for programs that would go on
            without us for ever.

    Raises:
        RequestError: It could not be started.
    """
    try:
        process = subprocess.Popen(
            [os.fspath(a) for a in argv],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=_end_with_parent() if dies_with_us else None,
        )
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else e
        raise RequestError(f"cannot start {argv[0]}: {reason}") from e
    try:
        yield process
    finally:
        stop(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _end_with_parent() -> Callable[[], object] | None:
    """What makes a new process end with its parent; None where the system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # loaded here, because the new process must not import anything

    prctl, set_death_signal, number = ctypes.CDLL(None).prctl, 1, int(signal.SIGKILL)
    return lambda: prctl(set_death_signal, number)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a program from `started` and its whole group: asks first, then kills."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # macOS answers EPERM for a group of zombies, where Linux says ESRCH.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Reader:
    """Reads a pipe to its end in a thread, so that a program never blocks on a full one."""

    def __init__(self, pipe: IO[bytes], on_line: Callable[[str], None] | None) -> None:
        self._descriptor = pipe.fileno()
        self._on_line = on_line
        self._content = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        line_start = 0
        # Not through the file object: closing it would wait for a read that is under way.
        with suppress(OSError):
            while chunk := os.read(self._descriptor, 65536):
                self._content += chunk
                if self._on_line is None:
                    continue
                while (end := self._content.find(b"\n", line_start)) >= 0:
                    line = self._content[line_start:end]
                    self._on_line(line.decode("utf-8", "replace").rstrip("\r"))
                    line_start = end + 1

    def text(self) -> str:
        self._thread.join(_DRAIN_S)
        return bytes(self._content).decode("utf-8", "replace")
