"""The verify firmware with a small model that misbehaves on request, for tests of the wire."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinydeploy import boards, firmware, frames, paths, process
from tinydeploy.emit.board import board_files
from tinydeploy.firmware import Firmware
from tinydeploy.plan.plan import Optimize
from tinydeploy.runners.base import ClosesOnExit, Transport, Unit
from tinydeploy.toolchains import Link, find

_MODEL = Path(__file__).with_name("wire") / "model.c"
X0_BYTES, X1_BYTES = 6000, 7
SHA256 = "12345678ff" + "00" * 27
UNDEFINED, NULL_CALL, UNMAPPED_READ, HANG, FAIL, EXIT, FLASH_WRITE, UNALIGNED, RECURSE = range(
    0xE1, 0xEA
)


def build(board_name: str, folder: Path, toolchain: str = "auto") -> Firmware:
    """Compiles it by hand: what is tested here is the wire, not the build."""
    board = boards.load(board_name)
    tools = find("host" if board.is_host else toolchain, for_host=board.is_host)
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(board_files(board))
    for path in (paths.data("firmware_templates") / "verify").iterdir():
        files[path.name] = path.read_text()
    files["model.c"] = _MODEL.read_text()
    for name, text in files.items():
        (folder / name).write_text(text)
    flags = (*tools.compile_flags(board.core, Optimize.SPEED), "-Werror", "-I.")
    objects = []
    for name in sorted(name for name in files if name.endswith(".c")):
        more = tools.memory_function_flags() if name == "libc.c" else ()
        argv = [*tools.cc, *flags, *more, "-c", name, "-o", f"{name}.o"]
        env = dict(tools.environment(folder))
        result = process.run(argv, timeout_s=120, cwd=folder, env=env)
        assert result.returncode == 0, result.stderr
        objects.append(f"{name}.o")
    script = "linker.ld" if "linker.ld" in files else None
    link = Link(folder, tuple(objects), script, "firmware.elf", "firmware.map")
    linked = tools.link(board.core, link)
    assert linked.returncode == 0, linked.stderr
    return firmware.read(folder / "firmware.elf", board)


def inputs(seed: int = 0, first: int = 0) -> tuple[bytes, bytes]:
    """Two inputs; the first byte of the first decides whether the model behaves."""
    random = np.random.default_rng(seed)
    x0 = random.integers(0, 256, X0_BYTES, dtype=np.uint8)
    x0[0] = first
    return x0.tobytes(), random.integers(0, 256, X1_BYTES, dtype=np.uint8).tobytes()


def expected(x0: bytes, x1: bytes) -> tuple[bytes, bytes]:
    a = np.frombuffer(x0, np.uint8).astype(np.uint32)
    b = np.resize(np.frombuffer(x1, np.uint8), X0_BYTES).astype(np.uint32)
    y0 = ((3 * a + b + 1) % 256).astype(np.uint8)
    return y0.tobytes(), int(y0.astype(np.uint32).sum()).to_bytes(4, "little")


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Fails what took longer; everything on the wire has limits of its own, far below."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@dataclass
class Faulty(ClosesOnExit):
    """A line that hurts bytes in both directions.

    Attributes:
        rate: The probability that a byte is hurt: dropped, doubled, changed or delayed.
        hurt: How many were.
    """

    inner: Transport
    rate: float
    seed: int = 0
    kinds: tuple[str, ...] = ("drop", "double", "flip", "delay")
    hurt: int = 0
    counts: Unit = "instructions"
    _late: dict[str, bytearray] = field(
        default_factory=lambda: {"w": bytearray(), "r": bytearray()}
    )

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def write(self, data: bytes) -> None:
        self.inner.write(self._damage(data, "w"))

    def read(self, timeout_s: float) -> bytes:
        return self._damage(self.inner.read(timeout_s), "r")

    def scale(self, ticks: int, hz: int) -> int:
        return self.inner.scale(ticks, hz)

    def diagnose(self) -> str | None:
        return self.inner.diagnose()

    def close(self) -> None:
        self.inner.close()

    def _damage(self, data: bytes, way: str) -> bytes:
        # What was delayed comes before what is new: late by one transfer.
        out = bytearray(self._late[way] if data else b"")
        if data:
            self._late[way].clear()
        for byte in data:
            if self._random.random() >= self.rate:
                out.append(byte)
                continue
            self.hurt += 1
            kind = self._random.choice(self.kinds)
            if kind == "double":
                out += bytes([byte, byte])
            elif kind == "flip":
                out.append(byte ^ 1 << self._random.randrange(8))
            elif kind == "delay":
                self._late[way].append(byte)
        return bytes(out)


@dataclass
class Interposer(ClosesOnExit):
    """A line where a test sees, changes and repeats whole frames that the host sends."""

    inner: Transport
    on_write: Callable[[Transport, bytes], None]
    counts: Unit = "instructions"

    def write(self, data: bytes) -> None:
        self.on_write(self.inner, data)

    def read(self, timeout_s: float) -> bytes:
        return self.inner.read(timeout_s)

    def scale(self, ticks: int, hz: int) -> int:
        return self.inner.scale(ticks, hz)

    def diagnose(self) -> str | None:
        return self.inner.diagnose()

    def close(self) -> None:
        self.inner.close()


def frame_of(data: bytes) -> frames.Frame:
    """The frame in what the host wrote at once."""
    frame = frames.decode(data.strip(b"\0"))
    assert frame is not None
    return frame
