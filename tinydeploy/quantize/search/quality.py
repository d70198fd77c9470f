"""How good a trial's model is: one figure that all trials are compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...graph import Array
from .. import scoring
from ..compare import MOST_COMPARED
from ..data import Dataset, Sample, arranger
from ..judge import Judge, open_judge
from ..metrics import METRICS, guesses

AGREEMENT = "agreement"


@dataclass(frozen=True, eq=False)
class Measured:
    """A model on the evaluation set.

    Attributes:
        metric: Its name; "agreement" is the share of samples on which the classes are the float
            model's.
        value: Of the metric.
        share: Whether it is a share of one.
        higher: Whether more is better.
        error: Mean squared error against the float model's answers.
        judge: What computed them.
        samples: How many.
    """

    metric: str
    value: float
    share: bool
    higher: bool
    error: float
    judge: str
    samples: int


def measure(
    content: bytes, reference: bytes, dataset: Dataset, metric: str | None, label: str
) -> Measured:
    """How a model does, and how far it is from the float model.

    Args:
        content: The model's file.
        reference: The float model's.
        dataset: Labelled; without labels a classifier is compared with the float model.
        metric: See `scoring.chosen_metrics()`; None for the task's own.
        label: What errors call the model.

    Raises:
        InputError: The data or the metric say nothing about the model.
    """
    judge, other = open_judge(content, label), open_judge(reference, label)
    first = next(iter(dataset))
    if metric == AGREEMENT or (metric is None and first.label is None and _classifies(other)):
        return _agreement(judge, other, dataset)
    task = scoring.task_of(first.label, other.inputs[0].shape, other.outputs[0].shape)
    name = scoring.chosen_metrics(task, metric)[0]
    scores, total, count = scoring.Scores(task), 0.0, 0
    run, float_run = _runner(judge, dataset), _runner(other, dataset)
    for sample in dataset:
        answer, wanted = run(sample), float_run(sample)
        target = np.asarray(sample.inputs[0], np.float64)
        scores.add(sample.label, [answer], [target])
        total += float(((answer.ravel() - wanted.ravel()) ** 2).mean())
        count += 1
    value = scoring.scored(scores).statistic(name)(np.arange(count))
    kind = METRICS.get(name)
    share, higher = (kind.share, kind.higher_is_better) if kind else (True, True)
    return Measured(name, value, share, higher, total / count, judge.name, count)


def _agreement(judge: Judge, other: Judge, dataset: Dataset) -> Measured:
    run, float_run = _runner(judge, dataset), _runner(other, dataset)
    same = count = 0
    total = 0.0
    for sample in dataset:
        answer, wanted = run(sample).reshape(1, -1), float_run(sample).reshape(1, -1)
        same += int(guesses(answer)[0] == guesses(wanted)[0])
        total += float(((answer - wanted) ** 2).mean())
        count += 1
    return Measured(AGREEMENT, same / count, True, True, total / count, judge.name, count)


def _classifies(judge: Judge) -> bool:
    shape = judge.outputs[0].shape
    return len(shape) == 2 and 1 < shape[1] <= 1000 and shape != judge.inputs[0].shape


def _runner(judge: Judge, dataset: Dataset) -> Callable[[Sample], Array]:
    arrange = arranger(dataset, [p.name for p in judge.inputs], [p.shape for p in judge.inputs])

    def run(sample: Sample) -> Array:
        arranged = arrange(sample)
        given = [
            v if v.dtype == p.dtype else v.astype(np.float32)
            for v, p in zip(arranged, judge.inputs, strict=True)
        ]
        return judge.answer(given)[0]

    return run


def limit(measured: Measured, max_drop: float) -> float:
    """The worst value that still holds.

    Args:
        measured: The float model's.
        max_drop: A share: points of a metric that is a share, of the value itself otherwise.
    """
    if measured.share:
        return measured.value - max_drop
    drop = abs(measured.value) * max_drop
    return measured.value - drop if measured.higher else measured.value + drop


def parse_drop(text: str) -> float:
    """ "1%" or "0.01" as a share.

    Raises:
        InputError: It is neither.
    """
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise InputError(f"--max-drop is {text!r:.40}, a share is meant", "--max-drop 1%")
    return value


__all__ = ["AGREEMENT", "MOST_COMPARED", "Measured", "limit", "measure", "parse_drop"]
