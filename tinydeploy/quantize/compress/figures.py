"""What a stage of a compression is worth: its score in float and int8, and its costs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ... import pipeline
from ...board import Board
from ...build import BuildRequest
from ...cores import Core
from ...engines import ENGINES
from ...errors import TinydeployError
from ...graph import Array, Graph
from ...inputs import random_inputs
from ...plan.plan import Target
from ...report.compression import Figures
from ..data import Dataset, Sample, arranger
from ..subject import Subject, open_subject
from .training import Task, predict, target

# Where no board is named, costs are planned for the core that most boards have.
DEFAULT_CORE = "cortex-m4"
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def float_score(model: Any, data: Dataset, task: Task) -> float:
    """A Keras model's score in TensorFlow."""
    return score(predict(model, data), task)


def int8_score(
    subject: Subject,
    data: Dataset,
    task: Task,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """A `.tflite` file's score in the oracle."""
    arrange = arranger(data, [p.name for p in subject.inputs], [p.shape for p in subject.inputs])

    def answers() -> Iterable[tuple[Array, Sample]]:
        for i, sample in enumerate(data):
            given = zip(subject.inputs, arrange(sample), strict=True)
            stored = [port.stored(np.asarray(value, np.float32)) for port, value in given]
            yield subject.outputs[0].real(subject.run(stored)[0]), sample
            progress(i + 1, len(data))

    return score(answers(), task)


def score(answers: Iterable[tuple[Array, Sample]], task: Task) -> float:
    """Accuracy, or the mean squared error."""
    total, count = 0.0, 0
    threshold = 0.0 if task.from_logits else 0.5
    for answer, sample in answers:
        wanted = target(sample, task).reshape(-1)
        got = np.asarray(answer, np.float64).reshape(-1)
        if task.kind == "mse":
            total += float(np.mean((got - wanted) ** 2))
        elif task.kind == "crossentropy":
            total += int(np.argmax(got)) == int(np.argmax(wanted))
        else:
            total += bool(((got > threshold) == (wanted > 0.5)).all())
        count += 1
    return total / max(1, count)


def costs(
    path: Path,
    board: Board | None,
    folders: tuple[Path, ...],
    *,
    device: bool,
    line: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fields of `Figures` that say what an int8 file costs; "notes" too.

    Args:
        path: The `.tflite` file; a firmware is built in the folder beside it.
        board: Whose costs; None for a plan without a firmware.
        folders: Of the user's own boards.
        device: Whether to build for the board and run on its emulator.
    """
    subject = open_subject(path)
    assert subject.graph is not None
    plan = ENGINES["aot"].emit(subject.graph, Target(core_of(board).isas)).plan
    found: dict[str, Any] = {
        "zeros": zeros(subject.graph),
        "file_bytes": len(subject.content),
        "gzip_bytes": len(gzip.compress(subject.content, 9, mtime=0)),
        "macs": sum(call.macs for call in plan.calls),
        "arena_bytes": plan.arena_bytes,
        "weights_bytes": plan.constant_bytes,
        "notes": (),
    }
    if board is None or not device:
        return found
    request = BuildRequest(
        model=path,
        board=board.name,
        out=path.parent / f"firmware-{board.name}",
        board_folders=folders,
    )
    try:
        built = pipeline.build(request, on_line=line)
        memory = built.report.memory
        if memory is not None:
            found |= {"flash_bytes": memory.flash_bytes, "ram_bytes": memory.ram_bytes}
        report, _ = pipeline.prove(built, random_inputs(subject.graph, 1))
        found["instructions"] = report.instructions.inference
        if report.outcome != "verified":
            found["notes"] = (f"{board.name} computes something else: {report.outcome}",)
    except TinydeployError as error:  # too large for the board, no emulator: a row all the same
        found["notes"] = (error.message,)
    return found


def core_of(board: Board | None) -> Core:
    """The core that costs are planned for."""
    from ... import cores

    return board.core if board is not None else cores.find(DEFAULT_CORE)


def zeros(graph: Graph) -> float:
    """The share of zeros among the weights of convolutions and dense layers."""
    none = total = 0
    for node in graph.nodes:
        if node.op not in _WEIGHTED:
            continue
        weights = graph.tensors[node.inputs[1]]
        if weights.data is not None:
            none += int((weights.data == 0).sum())
            total += weights.data.size
    return none / max(1, total)


__all__ = ["Figures", "costs", "float_score", "int8_score", "zeros"]
