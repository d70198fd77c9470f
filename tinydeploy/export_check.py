"""Runs a package's own files on the board that its model was proven on, and measures them."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import pipeline, process, toolchains
from .emit.board import board_files
from .errors import RequestError
from .firmware import read as read_firmware
from .graph import Array
from .inputs import InputSet
from .plan.plan import Optimize
from .runners.base import Transport
from .toolchains.base import Link, Toolchain, first_error, overflow

MAIN = "td_check_main.c"
# Of the board's stack, what is left for all that the package has not called.
_OTHERS_BYTES = 256
CHUNK_BYTES = 32  # of inputs on their way: less than the smallest buffer
_COMPILE_S = 300.0
_ANSWER_S = 120.0

Golden = tuple[InputSet, Sequence[Array]]


@dataclass(frozen=True)
class Right:
    """What a package has to compute.

    Attributes:
        goldens: Inputs and outputs.
        steps: FNV-1a of the output of each step, for the first of them.
    """

    goldens: Sequence[Golden]
    steps: Sequence[int]


@dataclass(frozen=True)
class Measured:
    """What a package takes.

    Attributes:
        flash_bytes: Code and constants, if all is linked.
        stack_bytes: The most that a run takes; None where the board has no room to measure it.
    """

    flash_bytes: int
    stack_bytes: int | None


def painted_bytes(prepared: pipeline.Prepared) -> int:
    """How much of its stack the board can be asked about."""
    return prepared.board.stack_bytes - _OTHERS_BYTES


def check(
    prepared: pipeline.Prepared,
    files: Mapping[str, str],
    right: Right,
    folder: Path,
    ide: bool,
) -> Measured:
    """Compiles a package for its board, runs it there, and compares.

    Args:
        prepared: Of the proof; not for the host.
        files: Of the package, without the self-test, and `MAIN`: name -> text.
        right: What it is run on, and what has to come out.
        folder: For what is compiled.
        ide: Its sources are compiled as Arduino's IDE does.

    Raises:
        RequestError: It does not compile, or computes something else.
    """
    request, board = prepared.request, prepared.board
    compiler = toolchains.find(request.toolchain)
    own = [name for name in files if name.endswith(".c") and name != MAIN]
    every = {**board_files(board), **files}
    for name, text in every.items():
        (folder / name).write_text(text, "utf-8")
    flags = compiler.compile_flags(board.core, Optimize(request.optimize))
    flags = tuple(flag for flag in flags if flag != "-flto")  # the user's build need not have it

    def compiled(name: str) -> str:
        more = compiler.memory_function_flags() if name == "libc.c" else ()
        if ide and name in own and compiler.name == "arm-gnu":
            more = ("-Os", "-std=gnu11")
        argv = [*compiler.cc, *flags, *more, "-I.", "-c", name, "-o", f"{name}.o"]
        environment = compiler.environment(folder)
        done = process.run(argv, timeout_s=_COMPILE_S, cwd=folder, env=environment)
        if done.returncode != 0:
            raise RequestError(f"{name} does not compile: {first_error(done.stderr)}")
        return f"{name}.o"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = tuple(pool.map(compiled, [name for name in every if name.endswith(".c")]))
    flash = sum(_flash_bytes(folder / f"{name}.o") for name in own)
    if not _linked(
        compiler, prepared, Link(folder, objects, "linker.ld", "check.elf", "check.map")
    ):
        return Measured(flash, None)
    firmware = read_firmware(folder / "check.elf", board)
    with pipeline.find_runner(None, board).open(firmware) as transport:
        stack = max(_answers(transport, right, request.model.name)[1:])
    return Measured(flash, stack if stack < painted_bytes(prepared) else None)


def _linked(compiler: Toolchain, prepared: pipeline.Prepared, link: Link) -> bool:
    """Whether it fits the board."""
    done = compiler.link(prepared.board.core, link)
    if done.returncode != 0 and not overflow(done.stderr):
        raise RequestError(f"the package does not link: {first_error(done.stderr)}")
    return done.returncode == 0


def _answers(transport: Transport, right: Right, model: str) -> list[int]:
    """Bytes of stack of one run by steps and then of whole ones; what they compute is compared."""
    inputs, _ = right.goldens[0]
    steps = struct.pack(f"<{len(right.steps)}I", *right.steps)
    expected = [(inputs, steps)]
    expected += [(i, b"".join(a.tobytes() for a in outputs)) for i, outputs in right.goldens]
    return [_answer(transport, inputs, output, model) for inputs, output in expected]


def _answer(transport: Transport, inputs: InputSet, expected: bytes, model: str) -> int:
    sent = b"".join(array.tobytes() for array in inputs)
    for start in range(0, len(sent), CHUNK_BYTES):
        transport.write(sent[start : start + CHUNK_BYTES].ljust(CHUNK_BYTES, b"\0"))
        if start + CHUNK_BYTES < len(sent):
            _receive(transport, 1, model)
    received = _receive(transport, 1 + len(expected) + 4, model)
    if received[1:-4] != expected:
        raise RequestError(f"the package of {model} does not compute what its proof did")
    return int(struct.unpack("<I", received[-4:])[0])


def _receive(transport: Transport, count: int, model: str) -> bytes:
    received = b""
    deadline = time.monotonic() + _ANSWER_S
    with suppress(EOFError):
        while len(received) < count and time.monotonic() < deadline:
            received += transport.read(1.0)
    if len(received) != count:
        raise RequestError(f"the package of {model} does not answer: {transport.diagnose()}")
    return received


def _flash_bytes(path: Path) -> int:
    """What an object file brings into the flash, if all of it is linked."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        return sum(
            section["sh_size"]
            for section in ELFFile(stream).iter_sections()
            if section["sh_flags"] & 0x2 and section["sh_type"] == "SHT_PROGBITS"
        )
