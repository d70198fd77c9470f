"""What an evaluation found, as JSON and every view of it have it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from .report import Tool

SCHEMA = 1

Task = Literal["classification", "regression", "anomaly"]


@dataclass(frozen=True)
class Estimate:
    """A figure that was measured on a sample, and where the true one lies.

    Attributes:
        value: As measured.
        low, high: The confidence interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """One figure of a model.

    Attributes:
        name: A key of `quantize.metrics.METRICS`, or "top-K".
        title: For people.
        estimate: Its value.
        share: Whether it is a share of one, to be shown in per cent.
        higher_is_better: Which way it improves.
    """

    name: str
    title: str
    estimate: Estimate
    share: bool
    higher_is_better: bool


@dataclass(frozen=True)
class ClassResult:
    """How a model does on the samples of one class.

    Attributes:
        name: The label's text.
        samples: How many there are.
        recall: The share of them that was recognised; null without samples.
        precision: The share of those called so that are so; null when none was called so.
        f1: Harmonic mean of the two; 0 when either is.
    """

    name: str
    samples: int
    recall: Estimate | None
    precision: float | None
    f1: float


@dataclass(frozen=True)
class DeviceRun:
    """The same set on a device.

    Attributes:
        board, runner: What ran it.
        inferences: How many runs of the model there were.
        equal: In how many of them every output was the oracle's, bit for bit.
        oracle: What it was compared with.
        counter: What `inference` counts.
        inference: The costliest run; null when it was not counted.
        retries: Frames that had to be sent again.
    """

    board: str
    runner: Tool
    inferences: int
    equal: int
    oracle: Tool
    counter: str
    inference: int | None
    retries: int


@dataclass(frozen=True)
class Histogram:
    """How the values of a tensor are spread, and where its quantisation ends.

    Attributes:
        name: The tensor's; any text.
        kind: "weights" or "activations".
        counts: Samples in bins of equal width.
        low, high: Where the bins begin and end.
        clip_low, clip_high: What the quantised tensor can hold; null where it is not quantised.
        clipped: The share of values that lie beyond, or at the end.
    """

    name: str
    kind: Literal["weights", "activations"]
    counts: tuple[int, ...]
    low: float
    high: float
    clip_low: float | None
    clip_high: float | None
    clipped: float


@dataclass(frozen=True)
class ModelResult:
    """One model on the evaluation set.

    Attributes:
        path: As it was given.
        name: The file's stem.
        numbers: What its operators compute in.
        engine: What computed the figures.
        metrics: The first is the one that models are compared by.
        classes: For classification, in the order of the labels.
        confusion: Rows are labels, columns are answers; empty unless it classifies.
        device: When it ran on one.
    """

    path: str
    name: str
    sha256: str
    size_bytes: int
    numbers: str
    engine: Tool
    metrics: tuple[Metric, ...]
    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    device: DeviceRun | None = None
    warnings: tuple[str, ...] = ()
    histograms: tuple[Histogram, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The first model beside another one, sample by sample.

    Attributes:
        before, after: Names of the models.
        metric: What is compared.
        difference: after - before.
        test: How it was tested: "McNemar" or "paired bootstrap".
        p_value: Of no difference; null where the test is the interval.
        significant: Whether it is more than chance, at the evaluation's confidence.
        only_before, only_after: Samples that only one of the two has right; null unless they
            classify.
    """

    before: str
    after: str
    metric: str
    difference: Estimate
    test: str
    p_value: float | None
    significant: bool
    only_before: int | None = None
    only_after: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """All of it.

    Attributes:
        data: Where the samples come from.
        samples: How many there are.
        confidence: Of every interval, such as 0.95.
        labels: Texts of the classes.
        models: In the order given; the first is "before".
        comparisons: Of the first with each other one.
        warnings: About the data.
    """

    tool: Tool
    data: str
    samples: int
    task: Task
    confidence: float
    labels: tuple[str, ...]
    models: tuple[ModelResult, ...]
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()
    duration_s: float = 0.0
    schema: int = SCHEMA


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON has it, `schema` first; what is not finite is null."""
    content = dataclasses.asdict(evaluation)
    made: dict[str, Any] = _finite({"schema": content.pop("schema"), **content})
    return made


def to_json(evaluation: Evaluation) -> str:
    """The evaluation as text, ending in a newline."""
    return json.dumps(to_dict(evaluation), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
