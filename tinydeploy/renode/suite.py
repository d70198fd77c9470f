"""A Robot Framework suite that proves a firmware in Renode, with Renode's own keywords.

What the host would say over the wire is known beforehand, and so is what the device must answer:
both are written down, and nothing of ours runs when the suite does.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import pipeline
from ..emit.package import is_signed, refuse_strangers
from ..errors import InputError, RequestError
from ..files import write_whole
from ..frames import REPLY, Frame, Kind, Type, encode
from ..inputs import InputSet, read_inputs
from ..oracle import Oracle, open_oracle
from ..steps import ELF
from . import platform

if TYPE_CHECKING:
    from ..board import Board
    from ..build import BuildRequest
    from ..graph import Array

DEFAULT_INPUTS = "random:3"

_SESSION = 1
_CHUNK_BYTES = 128
_HELLO_BYTES = 7 * 4 + 32  # and the board's name
_TICKS = bytes(4)

_BOOT_S = 0.5
_LEAST_S = 0.01
_MARGIN = 1.25
_LINE_BITS = 10
# What the firmware needs to receive, check and send a byte, and to check one of an input again:
# some hundreds, some tens.
_INSTRUCTIONS_PER_BYTE = 500
_INSTRUCTIONS_PER_INPUT_BYTE = 50
_RUN_BYTES = 64


@dataclass(frozen=True)
class Suite:
    """What a suite is to prove.

    Attributes:
        request: What to build.
        folder: Where the suite is written: tests, platform, script, firmware.
        inputs: See `inputs.read_inputs()`.
        ceiling_s: Virtual seconds that an inference may take; None: a quarter more than it takes
            in the board's emulator, where all inputs are verified first.
    """

    request: BuildRequest
    folder: Path
    inputs: str = DEFAULT_INPUTS
    ceiling_s: float | None = None


@dataclass(frozen=True)
class Stage:
    """Some requests, and the virtual time after which all their replies must be there.

    Attributes:
        name: "load", "run" or "read".
        seconds: None for the ceiling.
        reply_bytes: Of the replies since the start of the test.
        script: The monitor's commands that send the requests.
    """

    name: str
    seconds: float | None
    reply_bytes: int
    script: str


@dataclass(frozen=True)
class Golden:
    """One test.

    Attributes:
        stages: In order.
        replies: Hex of the frames that hold the outputs.
    """

    stages: tuple[Stage, ...]
    replies: tuple[str, ...]


def write_suite(suite: Suite, on_line: Callable[[str], None] | None = None) -> tuple[Path, ...]:
    """Builds a model's firmware and writes the suite that proves it.

    Args:
        on_line: Told what the build is doing.

    Returns:
        What was written, the suite first.

    Raises:
        InputError: The model, the board, the inputs or the folder's name was rejected.
        RequestError: It cannot be built, or Renode has no model of the board.
    """
    prepared = _prepare(suite.request, suite.folder)
    board = prepared.board
    samples = read_inputs(suite.inputs, prepared.graph)
    oracle = open_oracle(prepared.graph, prepared.content)
    built = pipeline.build(suite.request, on_line=on_line, prepared=prepared)
    ceiling_s = suite.ceiling_s or _measured_s(built, samples, oracle)
    goldens = [golden(board, sample, oracle.run(sample)) for sample in samples]
    tests = {f"{board.name}.robot": render(board, prepared.graph.name, goldens, ceiling_s)}
    scripts = {
        f"golden_{index}_{stage.name}.resc": stage.script
        for index, test in enumerate(goldens)
        for stage in test.stages
    }
    return _write(suite.folder, {**tests, **scripts, **_platform_files(built)})


def write_platform(
    request: BuildRequest, folder: Path, on_line: Callable[[str], None] | None = None
) -> tuple[Path, ...]:
    """Builds a model's firmware and writes what starts it in Renode by hand, the script first.

    Args and errors as `write_suite()`.
    """
    prepared = _prepare(request, folder)
    built = pipeline.build(request, on_line=on_line, prepared=prepared)
    return _write(folder, _platform_files(built))


def golden(board: Board, inputs: Sequence[Array], outputs: Sequence[Array]) -> Golden:
    """The test of one inference: what is sent, and what must come back.

    Args:
        board: One that `platform.check` accepts.
        inputs, outputs: The model's, and the oracle's answer.
    """
    assert board.console is not None
    byte_s = _LINE_BITS / board.console.baud + _INSTRUCTIONS_PER_BYTE / platform.hz(board)
    conversation = _Conversation(platform.uart(board))
    conversation.hello(board.name)
    for index, array in enumerate(inputs):
        conversation.load(index, array.tobytes())
    load = conversation.stage("load", byte_s)
    crc = zlib.crc32(b"".join(array.tobytes() for array in inputs))
    conversation.say(Type.RUN, "run", crc.to_bytes(4, "little"), _TICKS)
    run = conversation.stage("run", None)
    replies = [
        reply
        for index, array in enumerate(outputs)
        for reply in conversation.read(index, array.tobytes())
    ]
    read = conversation.stage("read", byte_s)
    return Golden((load, run, read), tuple(reply.hex() for reply in replies))


def render(board: Board, model: str, goldens: Sequence[Golden], ceiling_s: float) -> str:
    """The text of the suite."""
    return platform.render(
        "verify.robot.j2",
        board,
        model=re.sub(r"[^\w.-]", "_", model),
        uart=platform.uart(board),
        mips=platform.mips(board),
        boot_s=max(_BOOT_S, _rounded_up(platform.boot_s(board))),
        ceiling_s=_rounded_up(ceiling_s),
        goldens=goldens,
    )


class _Conversation:
    """Requests in order, and what is known of their replies."""

    def __init__(self, uart: str) -> None:
        self._uart = uart
        self._sequence = 0
        self._reply_bytes = 0
        self._stage_bytes = 0
        self._lines: list[str] = []

    def hello(self, board: str) -> None:
        self.say(Type.HELLO, "hello", b"", bytes(_HELLO_BYTES + len(board)))

    def load(self, index: int, data: bytes) -> None:
        for offset in range(0, len(data), _CHUNK_BYTES):
            chunk = data[offset : offset + _CHUNK_BYTES]
            what = f"input {index}, bytes {offset} to {offset + len(chunk) - 1}"
            self.say(Type.LOAD, what, struct.pack("<II", index, offset) + chunk, b"")

    def read(self, index: int, data: bytes) -> list[bytes]:
        """The replies, whose every byte is known."""
        replies = []
        for offset in range(0, len(data), _CHUNK_BYTES):
            chunk = data[offset : offset + _CHUNK_BYTES]
            where = struct.pack("<IIII", Kind.OUTPUT, index, offset, len(chunk))
            what = f"output {index}, bytes {offset} to {offset + len(chunk) - 1}"
            replies.append(self.say(Type.READ, what, where, chunk))
        return replies

    def say(self, kind: Type, what: str, data: bytes, answer: bytes) -> bytes:
        """Sends a request; its reply, if the device answers it with these data."""
        self._sequence += 1
        sent = encode(Frame(kind, 0, _SESSION, self._sequence, data))
        reply = encode(Frame(kind | REPLY, 0, _SESSION, self._sequence, answer))
        self._lines.append(f"# {kind.name}: {what}")
        self._lines += [f"{self._uart} WriteChar {byte:#04x}" for byte in sent]
        # A frame's length does not depend on what is in it.
        self._reply_bytes += len(reply)
        self._stage_bytes += len(sent) + len(reply)
        return reply

    def stage(self, name: str, byte_s: float | None) -> Stage:
        """All that was said since the last stage; `byte_s` is what a byte may take."""
        seconds = None if byte_s is None else _rounded_up(_LEAST_S + byte_s * self._stage_bytes)
        script = "\n".join([*self._lines, ""])
        self._lines, self._stage_bytes = [], 0
        return Stage(name, seconds, self._reply_bytes, script)


def _prepare(request: BuildRequest, folder: Path) -> pipeline.Prepared:
    if re.search(r"[\s;\"'`$]", str(folder.absolute())):
        raise InputError(
            f"Renode reads no script from {str(folder.absolute())!r}",
            "write where no folder has a space or a quote in its name: --out DIR",
        )
    prepared = pipeline.prepare(request)
    platform.check(prepared.board)
    return prepared


def _measured_s(built: pipeline.Built, samples: Sequence[InputSet], oracle: Oracle) -> float:
    """What an inference may take, from what it takes in the board's emulator."""
    board = built.prepared.board
    assert board.console is not None
    if not board.runners:
        raise RequestError(f"nothing here measures {board.name}", "set the ceiling: --seconds 1.5")
    report, _ = pipeline.prove(built, samples, oracle=oracle)
    if report.outcome != "verified" or report.instructions.inference is None:
        raise pipeline.differs(report)
    # Before it runs the firmware makes sure of its inputs.
    input_bytes = sum(array.nbytes for array in samples[0])
    count = report.instructions.inference + _INSTRUCTIONS_PER_INPUT_BYTE * input_bytes
    count += _INSTRUCTIONS_PER_BYTE * _RUN_BYTES
    line_s = _RUN_BYTES * _LINE_BITS / board.console.baud
    return _MARGIN * (count / platform.hz(board) + line_s)


def _platform_files(built: pipeline.Built) -> dict[str, str | bytes]:
    board = built.prepared.board
    repl = f"{board.name}.repl"
    files: dict[str, str | bytes] = {f"{board.name}.resc": platform.resc(board, repl, ELF)}
    if board.renode is None:
        files[repl] = platform.repl(board)
    return {**files, ELF: built.firmware.elf.read_bytes()}


def _write(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    ours = {n: text for n, text in files.items() if isinstance(text, str) and is_signed(text)}
    refuse_strangers(folder, ours)
    for name, content in files.items():
        write_whole(folder / name, content)
    return tuple(folder / name for name in files)


def _rounded_up(seconds: float) -> float:
    """To two digits, so that a small change of the firmware leaves the suite as it is."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.ceil(seconds / unit - 1e-9) * unit:.9g}")
