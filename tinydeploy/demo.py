"""The demo: a model that reads handwritten digits is quantised, proven, and judged on held-out
images that it was neither trained nor calibrated on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import pipeline, process
from .build import BuildRequest, default_out
from .errors import RequestError
from .graph import Array
from .oracle import open_oracle
from .paths import data
from .pipeline import Built, Publish
from .report.report import Accuracy, Report

_FOLDER = "examples/digits"
_MODEL = "digits_int8.tflite"
_PACKAGES = ("ai_edge_quantizer", "ai_edge_litert")
_TRAINING_PACKAGES = ("tensorflow", "sklearn", *_PACKAGES)
# Half a minute on two cores.
_TRAINING_LIMIT_S = 1800.0


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


def start(board: str, out: Path | None, train: bool, on_line: Callable[[str], None]) -> Start:
    """Quantises the float model where that can be done here; else takes the shipped int8 one.

    Args:
        board: Its name.
        out: The out folder; None for the usual one.
        train: Train the float model first.
        on_line: Told what goes on.

    Raises:
        RequestError: It is to be trained, and a package is missing or the training fails.
    """
    folder = out or default_out(Path(_MODEL), board)
    if not train and _missing(_PACKAGES):
        return _shipped(board, out)
    from .quantize import QuantizeRequest, run  # here: it needs the packages above

    source = _trained(folder / "trained", on_line) if train else data(_FOLDER)
    made = QuantizeRequest(
        model=source / "digits_float.tflite",
        out=folder / _MODEL,
        data=str(source / "digits_calibration.npz"),
        evaluation=str(data(f"{_FOLDER}/digits_eval.npz")),
    )
    result = run(made, lambda step, done, of: on_line(f"quantise: {step} {done} of {of}"))
    correct = result.float_score.correct if result.float_score else None
    origin = "trained and quantised" if train else "quantised"
    told = f"digits_float.tflite, {origin} here on {result.samples} training images"
    return Start(BuildRequest(model=made.out, board=board, out=out), correct or 0, told)


def _shipped(board: str, out: Path | None) -> Start:
    with np.load(data(f"{_FOLDER}/digits_test.npz")) as test:
        right = round(float(test["float_accuracy"]) * len(test["labels"]))
    told = (
        "the shipped int8 model, quantised by TensorFlow; "
        "to quantise it here: pip install 'tinydeploy[ptq]'"
    )
    return Start(BuildRequest(data(f"{_FOLDER}/{_MODEL}"), board, out=out), right, told)


def _trained(folder: Path, on_line: Callable[[str], None]) -> Path:
    """Trains into `folder`, with the example's own script."""
    if missing := _missing(_TRAINING_PACKAGES):
        raise RequestError(
            f"training needs packages that are not installed: {', '.join(missing)}",
            "pip install 'tinydeploy[train,ptq]' scikit-learn",
        )
    folder.mkdir(parents=True, exist_ok=True)
    on_line("train: half a minute on two cores")
    script = data(f"{_FOLDER}/train.py")
    done = process.run([sys.executable, script, folder], timeout_s=_TRAINING_LIMIT_S)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise RequestError(f"the training failed: {lines[-1]:.300}")
    return folder


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if importlib.util.find_spec(name) is None]


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
