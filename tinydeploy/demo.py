"""The demo: a model that reads handwritten digits is quantised, proven, and judged on held-out
images that it was neither trained nor calibrated on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import pipeline
from .build import BuildRequest, default_out
from .graph import Array
from .oracle import open_oracle
from .paths import data
from .pipeline import Built, Publish
from .report.report import Accuracy, Report

_FOLDER = "examples/digits"
_MODEL = "digits_int8.tflite"
_PACKAGES = ("ai_edge_quantizer", "ai_edge_litert")


@dataclass(frozen=True)
class Start:
    """What the demo builds from.

    Attributes:
        request: With the quantised model.
        float_correct: On how many of the held-out images the float model was right.
        told: A sentence about where the quantised model comes from.
    """

    request: BuildRequest
    float_correct: int
    told: str


def start(board: str, out: Path | None, on_line: Callable[[str], None]) -> Start:
    """Quantises the float model where that can be done here; else takes the shipped int8 one."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        shipped = data(f"{_FOLDER}/{_MODEL}")
        with np.load(data(f"{_FOLDER}/digits_test.npz")) as test:
            right = round(float(test["float_accuracy"]) * len(test["labels"]))
        told = (
            "the shipped int8 model, quantised by TensorFlow; "
            "to quantise it here: pip install 'tinydeploy[ptq]'"
        )
        return Start(BuildRequest(model=shipped, board=board, out=out), right, told)
    from .quantize import QuantizeRequest, run  # here: it needs the packages above

    folder = out or default_out(Path(_MODEL), board)
    made = QuantizeRequest(
        model=data(f"{_FOLDER}/digits_float.tflite"),
        out=folder / _MODEL,
        data=str(data(f"{_FOLDER}/digits_calibration.npz")),
        evaluation=str(data(f"{_FOLDER}/digits_eval.npz")),
    )
    result = run(made, lambda step, done, of: on_line(f"quantise: {step} {done} of {of}"))
    score = result.float_score
    told = f"digits_float.tflite, quantised here on {result.samples} training images"
    request = BuildRequest(model=made.out, board=board, out=out)
    return Start(request, (score.correct if score else None) or 0, told)


def run(
    start: Start,
    publish: Publish,
    on_line: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> tuple[Built, Report]:
    """Builds, proves every held-out image bit for bit, and counts the right answers.

    Returns:
        What was built, and the report with the accuracy of float model, host and device.
    """
    images, labels = _held_out()
    built = pipeline.build(start.request, publish, on_line)
    graph = built.prepared.graph
    image = graph.tensors[graph.inputs[0]]
    stored = np.clip(np.rint(images / np.float32(image.scale)) + image.zero_point, -128, 127)
    samples = [(row[np.newaxis],) for row in stored.astype(np.int8)]
    report, answers = pipeline.prove(
        built, samples, layers=True, publish=publish, progress=progress
    )
    oracle = open_oracle(graph, built.prepared.content)
    accuracy = Accuracy(
        inputs=len(labels),
        correct=_right([row[0] for row in answers], labels),
        float_correct=start.float_correct,
        host_correct=_right([oracle.run(sample)[0] for sample in samples], labels),
    )
    report = replace(report, accuracy=accuracy)
    publish(report)
    return built, report


def _held_out() -> tuple[Array, Array]:
    """(images float32 [N, 8, 8, 1], 0 to 1; labels [N])."""
    with np.load(data(f"{_FOLDER}/digits_eval.npz")) as arrays:
        return arrays["image"], arrays["labels"]


def _right(answers: list[Array], labels: Array) -> int:
    return int((np.array([np.argmax(answer) for answer in answers]) == labels).sum())
