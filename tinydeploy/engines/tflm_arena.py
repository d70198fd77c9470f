"""How large TFLite Micro's arena must be: the smallest that AllocateTensors() gets by with.

What arena_used_bytes() tells is not enough, because allocating takes memory that is given back, and
less than a core may need, because kernels ask for working memory by what the core can do. So a
firmware is built for an emulator with the same core, and asked again and again with other sizes.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import boards, build, paths
from ..board import Board
from ..cores import Core
from ..emit.module import Library
from ..errors import RequestError
from ..files import write_whole
from ..firmware import Firmware
from ..firmware import read as read_firmware
from ..graph import Graph
from ..runners.base import Runner
from ..wire import Client, DeviceError
from .base import Context

ALIGNMENT = 16
SIZE_SYMBOL = "td_tflm_arena_bytes"

# Beside the tensors: the interpreter's own records, and working memory of kernels.
_RECORDS_BYTES = 32 * 1024
_RECORD_BYTES = 256  # a tensor and an operator
_SPARE_RAM_BYTES = 16 * 1024
# A change of how it is measured must not find what was measured before.
_METHOD = 1


@dataclass(frozen=True)
class Measured:
    """What an interpreter needs.

    Attributes:
        used_bytes: What arena_used_bytes() tells.
        needed_bytes: The smallest arena that works; a multiple of ALIGNMENT.
    """

    used_bytes: int
    needed_bytes: int


def measure(graph: Graph, context: Context, library: Library, planned_bytes: int) -> Measured:
    """What is known from before for this model, library and core; else measures it.

    Args:
        graph: The model.
        context: What the firmware is for.
        library: TFLite Micro for the board's core.
        planned_bytes: The first guess: what our own planner takes.

    Raises:
        RequestError: It cannot be measured here, or AllocateTensors() fails whatever the size.
    """
    core = context.board.core
    parts = (str(_METHOD), graph.sha256, library.sha256, core.name, *core.gcc_flags)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    record = paths.cache() / "tflm_arena" / f"{key}.json"
    with suppress(OSError, ValueError, TypeError):
        known = Measured(**json.loads(record.read_text("utf-8")))
        if 0 < known.needed_bytes < 1 << 32:
            return known
    board, runner = _emulator(core, context)
    measured = _measure(graph, context, board, runner, planned_bytes)
    write_whole(record, json.dumps(asdict(measured)) + "\n")
    return measured


def estimated_bytes(graph: Graph, planned_bytes: int) -> int:
    """An arena that is large enough for any core, a multiple of ALIGNMENT.

    Args:
        graph: The model.
        planned_bytes: What our own planner takes for its tensors.
    """
    records = _RECORDS_BYTES + _RECORD_BYTES * (len(graph.tensors) + len(graph.nodes))
    return -(-(2 * planned_bytes + records) // ALIGNMENT) * ALIGNMENT


def smallest(works: Callable[[int], bool], used_bytes: int, largest: int) -> int:
    """The smallest size that works, a multiple of ALIGNMENT.

    Args:
        works: Whether a size does; every size above one that works does too.
        used_bytes: No smaller size is tried.
        largest: A size that works.
    """
    low = -(-used_bytes // ALIGNMENT)
    if works(low * ALIGNMENT):
        return low * ALIGNMENT
    high, step = low, 8
    while True:
        high = min(high + step, largest // ALIGNMENT)
        if high * ALIGNMENT >= largest // ALIGNMENT * ALIGNMENT or works(high * ALIGNMENT):
            break
        low, step = high, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle * ALIGNMENT) else (middle, high)
    return high * ALIGNMENT


def _emulator(core: Core, context: Context) -> tuple[Board, Runner]:
    """The board with such a core and the most RAM that an emulator here runs."""
    from ..runners import RUNNERS  # here, because a build of a known arena needs none

    boards_here = boards.all_boards(context.request.board_folders)
    like = [b for b in boards_here if b.core == core and b.ram is not None]
    reason = f"no emulated board has a {core.title} as {context.board.name} has it"
    for board in sorted(like, key=lambda b: -b.ram.bytes if b.ram else 0):
        for name in board.runners:
            try:
                RUNNERS[name].check(board)
            except RequestError as error:
                reason = error.message
                continue
            return board, RUNNERS[name]
    raise RequestError(f"TFLite Micro's arena cannot be measured: {reason}", "--arena BYTES")


def _measure(
    graph: Graph, context: Context, board: Board, runner: Runner, planned_bytes: int
) -> Measured:
    assert board.ram is not None
    room = board.ram.bytes - board.stack_bytes - _SPARE_RAM_BYTES
    guess = min(estimated_bytes(graph, planned_bytes), room // ALIGNMENT * ALIGNMENT)
    with tempfile.TemporaryDirectory(prefix="tinydeploy-arena-") as folder:
        request = replace(
            context.request,
            board=board.name,
            out=Path(folder) / "out",
            arena_bytes=guess,
            measuring=True,
            app=None,
            firmware=build.BuildRequest.firmware,
        )
        firmware = read_firmware(build.build(request), board)

        def attempt(size: int) -> int | str:
            image = _with_size(firmware, size, Path(folder) / "sized.elf")
            return _used(image, runner)

        used = attempt(guess)
        if isinstance(used, str):
            raise RequestError(
                f"{context.request.model.name} does not start with an arena of {guess} bytes on "
                f"{board.name}: {used}"
            )
        needed = smallest(lambda size: isinstance(attempt(size), int), used, guess)
        return Measured(used, needed)


def _used(firmware: Firmware, runner: Runner) -> int | str:
    """arena_used_bytes(), or why it could not be had."""
    with runner.open(firmware) as transport:
        try:
            client = Client(transport, firmware)
            client.hello()
            told = client.message()
        except DeviceError as error:
            return error.message
    found = re.search(r"arena_used_bytes (\d+)", told)
    return int(found[1]) if found else f"it said {told!r}"


def _with_size(firmware: Firmware, size: int, path: Path) -> Firmware:
    """The image with another size of the arena."""
    symbol = firmware.symbols[SIZE_SYMBOL]
    content = bytearray(firmware.elf.read_bytes())
    at = firmware.file_offset(symbol.address)
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return replace(firmware, elf=path)
