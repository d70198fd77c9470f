"""What a trial's model costs on its board: built, linked, and run once in the emulator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import boards, pipeline
from ...build import BuildRequest
from ...errors import TinydeployError
from ...fit import needs
from ...inputs import random_inputs

_INPUTS = 2
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class LayerCost:
    """A layer of the float model on the device.

    Attributes:
        index: Its number in the float model, after repairs.
        elements: Of its output.
        instructions: Without conversions around it.
    """

    index: int
    op: str
    macs: int
    elements: int
    instructions: int


@dataclass(frozen=True)
class DeviceCost:
    """What a board gives for a model.

    Attributes:
        flash_bytes, ram_bytes: All that the image takes, linked; planned where it was not linked.
        instructions: One inference, or cycles; None where it could not run.
        verified: Whether every output was the oracle's, bit for bit.
        conversion: Instructions an element between int8 and int16; 0 where there is none.
        problem: Why something is missing; "" where nothing is.
        layers: Each layer's own cost.
    """

    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: int | None = None
    verified: bool = False
    conversion: float = 0.0
    problem: str = ""
    layers: tuple[LayerCost, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cost(
    model: Path,
    board: str,
    out: Path,
    *,
    folders: tuple[Path, ...] = (),
    toolchain: str = "auto",
    optimize: str = "speed",
    cache: Path | None = None,
) -> DeviceCost:
    """Builds a model for a board and runs it there; what fails is in `problem`.

    Args:
        model: The `.tflite` file.
        board: Its name.
        out: The folder to build in.
        folders: Of the user's own boards.
        toolchain, optimize, cache: As in `BuildRequest`.
    """
    request = BuildRequest(
        model=model,
        board=board,
        out=out,
        toolchain=toolchain,
        optimize=optimize,
        board_folders=folders,
        cache=cache,
    )
    try:
        prepared = pipeline.prepare(request)
    except TinydeployError as error:
        return DeviceCost(problem=error.message)
    need = needs(prepared.plan, boards.load(board, folders))
    planned = DeviceCost(need.flash_bytes, need.ram_bytes)
    try:
        built = pipeline.build(request)
        memory = built.report.memory
        assert memory is not None
        report, _ = pipeline.prove(built, random_inputs(prepared.graph, _INPUTS), layers=True)
    except TinydeployError as error:
        return DeviceCost(planned.flash_bytes, planned.ram_bytes, problem=error.message)
    conversions = [x for x in report.layers if x.op in _CONVERSIONS and x.instructions]
    converted = sum(_elements(x.output_shape) for x in conversions)
    own = [x for x in report.layers if x.op not in _CONVERSIONS]
    return DeviceCost(
        flash_bytes=memory.flash_bytes,
        ram_bytes=memory.ram_bytes,
        instructions=report.instructions.inference,
        verified=report.outcome == "verified",
        conversion=sum(x.instructions or 0 for x in conversions) / converted if converted else 0.0,
        problem="" if report.outcome == "verified" else "the device differs from the oracle",
        layers=tuple(
            LayerCost(i, x.op, x.macs, _elements(x.output_shape), x.instructions or 0)
            for i, x in enumerate(own)
        ),
    )


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for d in shape:
        count *= d
    return count
