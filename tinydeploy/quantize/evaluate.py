"""How good models are on labelled data, side by side, and whether they differ at all.

What a device computes is computed by the oracle, or by the device itself; LiteRT runs what no
device could: float models.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError, TinydeployError
from ..graph import Array
from ..report.evaluation import DeviceRun, Evaluation, ModelResult, Task
from ..report.report import Tool
from . import histograms, on_device, scoring
from .data import Dataset, Sample, arranger, core, subset
from .examine import Examination, fit_of_range
from .finish import read_metadata
from .metrics import CONFIDENCE
from .subject import Subject, open_subject

ENGINES = ("oracle", "litert")

# Told the model's name, how many samples are done, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate.

    Attributes:
        models: `.tflite` files; the first is what the others are compared with.
        data: Labelled samples; real numbers, or what the models take.
        source: What the data are called.
        on: "oracle", "litert", or a key of RUNNERS.
        board: Where `on` is a runner.
        metric: Shown first and compared; None for the task's own.
        task: None to tell by the data.
        labels: Names of the classes; () for the data's own.
        samples: So many, spread over the set; None for all.
        confidence: Of the intervals.
        board_folders: Of the user's own boards.
        histograms: Also look at weights and activations.
        port: Where `on` is "serial": the board's port; None looks for it.
    """

    models: tuple[Path, ...]
    data: Dataset
    source: str
    on: str = "oracle"
    board: str | None = None
    metric: str | None = None
    task: Task | None = None
    labels: tuple[str, ...] = ()
    samples: int | None = None
    confidence: float = CONFIDENCE
    board_folders: tuple[Path, ...] = ()
    histograms: bool = False
    port: str | None = None


def evaluate(
    request: EvaluateRequest,
    progress: Progress = lambda name, done, total: None,
    on_line: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Runs every model on all samples.

    Raises:
        InputError: A model, the data or an option was rejected.
        RequestError: Something that is needed is missing, or a device failed.
    """
    started = time.monotonic()
    _check(request)
    engine = "litert" if request.on == "litert" else "auto"
    subjects = [open_subject(path, engine) for path in request.models]
    names = _names(request.models)
    data = subset(request.data, request.samples) if request.samples else request.data
    first = next(iter(data))
    task = request.task or _task(first, subjects[0])
    chosen = scoring.chosen_metrics(task, request.metric)
    results: list[ModelResult] = []
    answers: list[scoring.Scored] = []
    examination = Examination(data.names)
    for name, subject in zip(names, subjects, strict=True):
        run = _Run(subject, data, task, examination if not results else None)
        found, device = run.all(request, partial(progress, name), on_line)
        answers.append(found)
        measured = tuple(scoring.measure(found, n, request.confidence) for n in chosen)
        results.append(replace(_result(name, subject), metrics=measured, device=device,
                               warnings=run.warnings()))  # fmt: skip
    labels: tuple[str, ...] = ()
    if task == "classification":
        given = request.labels or data.label_names or _stored_names(subjects)
        labels = class_names(given, answers[0].classes)
        results = [
            _with_classes(r, a, labels, request) for r, a in zip(results, answers, strict=True)
        ]
    if request.histograms:
        drawn = histograms.of_all(subjects, data)
        results = [replace(r, histograms=h) for r, h in zip(results, drawn, strict=True)]
    pairs = zip(names[1:], answers[1:], strict=True)
    return Evaluation(
        tool=Tool("tinydeploy", __version__),
        data=request.source,
        samples=len(data),
        task=task,
        confidence=request.confidence,
        labels=labels,
        models=tuple(results),
        comparisons=tuple(
            scoring.compare((names[0], name), answers[0], other, chosen[0], request.confidence)
            for name, other in pairs
        ),
        warnings=examination.warnings(),
        duration_s=round(time.monotonic() - started, 3),
    )


class _Run:
    """One model on all samples."""

    def __init__(
        self, subject: Subject, data: Dataset, task: Task, examination: Examination | None
    ) -> None:
        self._subject = subject
        self._data = data
        self._scores = scoring.Scores(task)
        self._examination = examination
        self._arrange = arranger(
            data, [port.name for port in subject.inputs], [port.shape for port in subject.inputs]
        )
        self._lows = [np.inf] * len(subject.inputs)
        self._highs = [-np.inf] * len(subject.inputs)

    def all(
        self,
        request: EvaluateRequest,
        progress: Callable[[int, int], None],
        on_line: Callable[[str], None],
    ) -> tuple[scoring.Scored, DeviceRun | None]:
        """Every answer, and what the device did when one was asked for and can run the model."""
        where = on_device.Where(request.on, request.board, request.board_folders, request.port)
        on_it = request.on not in ENGINES and self._subject.graph is not None
        opened: Any = (
            on_device.opened(self._subject, where, on_line) if on_it else nullcontext((None, None))
        )
        with opened as (device, result):
            compute = device.run if device else self._subject.run
            for number, sample in enumerate(self._data):
                self._one(sample, compute)
                progress(number + 1, len(self._data))
            return scoring.scored(self._scores), result() if result else None

    def warnings(self) -> tuple[str, ...]:
        """Where the data do not suit the quantisation of this model's inputs."""
        found = []
        for port, low, high in zip(self._subject.inputs, self._lows, self._highs, strict=True):
            if port.holds and low <= high:
                text = fit_of_range(low, high, *port.holds)
                found += [f"input {port.name!r:.60} {text}"] if text else []
        return tuple(found)

    def _one(self, sample: Sample, compute: Callable[[tuple[Array, ...]], Any]) -> None:
        if self._examination:
            self._examination.add(sample)
        output = self._subject.outputs[0]
        answers, targets = [], []
        for inputs in self._windows(sample):
            stored = tuple(self._stored(i, value) for i, value in enumerate(inputs))
            answers.append(output.real(np.asarray(compute(stored)[0])))
            targets.append(self._target(inputs[0], stored[0]))
        self._scores.add(sample.label, answers, targets)

    def _windows(self, sample: Sample) -> Iterator[tuple[Array, ...]]:
        """What the model is given: the sample, or each of the windows that it consists of."""
        value = np.asarray(sample.inputs[0])
        shape = core(self._subject.inputs[0].shape)
        if len(sample.inputs) == 1 and core(value.shape) != shape == core(value.shape[1:]):
            for window in value:
                yield self._arrange(Sample((window,)))
        else:
            yield self._arrange(sample)

    def _stored(self, index: int, value: Array) -> Array:
        port = self._subject.inputs[index]
        if value.dtype != port.dtype:
            if not port.scale and value.dtype.kind in "iu" and value.dtype.itemsize == 1:
                # Raw pixels and quantised numbers look alike; only the user knows which they are.
                raise InputError(
                    f"the data are {value.dtype}, {self._subject.path.name} takes {port.dtype}",
                    "of pixels: --transform scale=1/255, or --transform float for 0 to 255",
                )
            self._lows[index] = min(self._lows[index], float(value.min()))
            self._highs[index] = max(self._highs[index], float(value.max()))
        return port.stored(value)

    def _target(self, given: Array, stored: Array) -> Array:
        """The input as real numbers, for what reconstructs it."""
        port = self._subject.inputs[0]
        return port.real(stored) if given.dtype == port.dtype else given.astype(np.float64)


def _stored_names(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """The classes' names in the metadata of the first model that has them."""
    for subject in subjects:
        # Without LiteRT nothing reads metadata; what is no model of ours has none.
        with suppress(ValueError, RecursionError, TinydeployError):
            found = json.loads(read_metadata(subject.content).get("labels", "[]"))
            if found and isinstance(found, list):
                return tuple(str(name) for name in found)
    return ()


def class_names(given: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """A name for each class.

    Raises:
        InputError: There are names, and not as many as classes.
    """
    if not given:
        return tuple(str(i) for i in range(classes))
    if len(given) != classes:
        raise InputError(
            f"there are {len(given)} labels ({', '.join(given)[:80]}), the model has {classes} "
            "classes",
            "--labels NAME,NAME,… in the order of the model's outputs",
        )
    return given


def _check(request: EvaluateRequest) -> None:
    if not request.models:
        raise InputError("no model was named", "tinydeploy evaluate model.tflite --eval test.npz")
    if request.port and request.on != "serial":
        raise InputError(
            f"--port is for --on serial, and --on is {request.on}",
            f"--on serial --port {request.port}",
        )
    if not 0.5 <= request.confidence < 1:
        raise InputError(f"the confidence is {request.confidence}", "--confidence 0.95")


def _task(sample: Sample, subject: Subject) -> Task:
    given = tuple(subject.inputs[0].shape)
    return scoring.task_of(sample.label, given, subject.outputs[0].shape)


def _names(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """The files' stems; numbered where those are alike."""
    stems = [path.stem for path in paths]
    return tuple(
        stem if stems.count(stem) == 1 else f"{stem} ({number})"
        for number, stem in enumerate(stems, 1)
    )


def _result(name: str, subject: Subject) -> ModelResult:
    return ModelResult(
        path=str(subject.path),
        name=name,
        sha256=subject.sha256,
        size_bytes=len(subject.content),
        numbers=subject.numbers,
        engine=subject.engine,
        metrics=(),
    )


def _with_classes(
    result: ModelResult, found: scoring.Scored, labels: tuple[str, ...], request: EvaluateRequest
) -> ModelResult:
    if found.classes != len(labels):
        raise InputError(
            f"{result.name} has {found.classes} classes, the first model has {len(labels)}"
        )
    return replace(
        result,
        classes=found.per_class(labels, request.confidence),
        confusion=tuple(tuple(int(n) for n in row) for row in found.confusion()),
    )
