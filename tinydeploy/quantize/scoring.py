"""From answers, one sample at a time, to figures and comparisons; keeps a few numbers a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..graph import Array
from ..report.evaluation import ClassResult, Comparison, Estimate, Metric, Task
from . import metrics as m
from .data import core

# What is shown for each task; the first is what models are compared by.
SHOWN: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "f1", "auc"),
    "anomaly": ("auc", "mse"),
    "regression": ("mse", "mae"),
}
_TASK_HINT = "say what the model does: --task classification | regression | anomaly"
_MOST_CLASSES = 4096


def mirrors(given: tuple[int, ...], answered: tuple[int, ...]) -> bool:
    """Whether an output of a model has its input's shape, but for dimensions of 1."""
    return math.prod(given) == math.prod(answered) and core(given) == core(answered)


def task_of(label: Array | int | None, given: tuple[int, ...], answered: tuple[int, ...]) -> Task:
    """What a model does, by a label and by the shapes of its input and output.

    An output like the input is a reconstruction: with class labels it detects anomalies (1), and
    without labels it is compared with the input itself.

    Raises:
        InputError: The label and the output have nothing to do with each other.
    """
    size = math.prod(answered)
    alike = mirrors(given, answered)
    if label is None:
        if alike and size > 1:
            return "regression"
        raise InputError(
            "the data have no labels", "an array named 'labels' in the .npz, or --label NAME"
        )
    if isinstance(label, int):
        return "anomaly" if alike and size > 2 else "classification"
    if label.size != size:
        raise InputError(
            f"a label has {label.size} numbers, the model answers {list(answered)}", _TASK_HINT
        )
    return "classification" if size > 1 and is_one_hot(label) else "regression"


@dataclass
class Scores:
    """What is kept of a model's answers.

    Attributes:
        rows: Classification: each answer, real numbers.
        labels: Classification and anomaly: the classes' numbers.
        squared, absolute: Regression and anomaly: each sample's mean error.
    """

    task: Task
    rows: list[Array] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    squared: list[float] = field(default_factory=list)
    absolute: list[float] = field(default_factory=list)

    def add(self, label: Array | int | None, answers: list[Array], targets: list[Array]) -> None:
        """Takes a sample into account: the mean over its windows.

        Args:
            label: The sample's.
            answers: What the model answered, an array a window, real numbers.
            targets: What was given to the model, an array a window, real numbers.
        """
        if self.task == "classification":
            row = np.mean([a.ravel() for a in answers], axis=0)
            if row.size > _MOST_CLASSES:
                raise InputError(f"the model answers {row.size} numbers, no classes", _TASK_HINT)
            self.rows.append(row)
            self.labels.append(_class(label, max(row.size, 2)))
            return
        if self.task == "anomaly":
            self.labels.append(_class(label, 2))
        elif label is not None:
            targets = [np.asarray(label, np.float64)] * len(answers)
        errors = [a.ravel() - t.ravel() for a, t in zip(answers, targets, strict=True)]
        self.squared.append(float(np.mean([np.mean(e * e) for e in errors])))
        self.absolute.append(float(np.mean([np.mean(np.abs(e)) for e in errors])))

    def __len__(self) -> int:
        return len(self.rows) or len(self.squared)


@dataclass(frozen=True, eq=False)
class Scored:
    """A model's answers as arrays.

    Attributes:
        rows: [N, classes].
        labels, guesses: [N].
        squared, absolute: [N].
        classes: How many there are.
    """

    task: Task
    rows: Array
    labels: Array
    guesses: Array
    squared: Array
    absolute: Array
    classes: int

    def right(self, name: str) -> Array | None:
        """Whether each sample is right, for metrics that are such a share; else None."""
        if name == "accuracy":
            return np.asarray(self.guesses == self.labels)
        if name.startswith("top-"):
            return m.in_top(self.rows, self.labels, int(name.removeprefix("top-")))
        return None

    def statistic(self, name: str) -> m.Statistic:
        """A metric as a function of which samples are drawn."""
        right = self.right(name)
        if right is not None:
            return lambda drawn: float(right[drawn].mean())
        if name == "f1":
            return lambda drawn: m.macro_f1(
                m.confusion(self.labels[drawn], self.guesses[drawn], self.classes)
            )
        if name == "auc" and self.task == "anomaly":
            return lambda drawn: m.roc_auc(self.squared[drawn], self.labels[drawn] == 1)
        if name == "auc":
            return lambda drawn: m.multiclass_auc(self.rows[drawn], self.labels[drawn])
        values = self.squared if name == "mse" else self.absolute
        return lambda drawn: float(values[drawn].mean())

    def estimate(self, name: str, statistic: m.Statistic, confidence: float) -> Estimate:
        """A statistic of the samples with its interval."""
        strata = self.labels if name in ("f1", "auc") else None
        samples = len(self.labels) or len(self.squared)
        return m.bootstrap(statistic, samples, confidence, strata)

    def confusion(self) -> Array:
        return m.confusion(self.labels, self.guesses, self.classes)

    def per_class(self, names: tuple[str, ...], confidence: float) -> tuple[ClassResult, ...]:
        return m.per_class(self.confusion(), names, confidence)


def scored(scores: Scores) -> Scored:
    """The kept answers as arrays."""
    empty = np.zeros(0)
    rows = np.stack(scores.rows) if scores.rows else np.zeros((0, 0))
    labels = np.array(scores.labels, np.intp)
    return Scored(
        task=scores.task,
        rows=rows,
        labels=labels,
        guesses=m.guesses(rows) if scores.rows else empty,
        squared=np.array(scores.squared),
        absolute=np.array(scores.absolute),
        classes=max(rows.shape[1], 2),
    )


def chosen_metrics(task: Task, first: str | None) -> tuple[str, ...]:
    """The metrics to show, `first` first.

    Raises:
        InputError: `first` is unknown, or says nothing about such a task.
    """
    shown = SHOWN[task]
    if first is None:
        return shown
    names = {name for names in SHOWN.values() for name in names}
    k = first.removeprefix("top-")
    is_top = first.startswith("top-") and k.isdecimal() and int(k) > 0
    if first not in names and not is_top:
        raise InputError(
            f"unknown metric {first!r:.40}", f"--metric {' | '.join(sorted(names))} | top-K"
        )
    possible = is_top if first.startswith("top-") else first in shown
    if not possible or (is_top and task != "classification"):
        raise InputError(f"the metric {first} says nothing about {task}", _TASK_HINT)
    return (first, *(name for name in shown if name != first))


def measure(found: Scored, name: str, confidence: float) -> Metric:
    """A metric of a model's answers, with its interval."""
    right = found.right(name)
    if right is not None:
        estimate = m.wilson(int(right.sum()), right.size, confidence)
    else:
        estimate = found.estimate(name, found.statistic(name), confidence)
    if name.startswith("top-"):
        return Metric(name, name, estimate, True, True)
    kind = m.METRICS[name]
    return Metric(name, kind.title, estimate, kind.share, kind.higher_is_better)


def compare(
    names: tuple[str, str], before: Scored, after: Scored, metric: str, confidence: float
) -> Comparison:
    """Two models on the same samples: what differs is judged sample by sample."""
    first, second = before.statistic(metric), after.statistic(metric)
    difference = before.estimate(metric, lambda drawn: second(drawn) - first(drawn), confidence)
    one, other = before.right(metric), after.right(metric)
    if one is not None and other is not None:
        only_before, only_after = int((one & ~other).sum()), int((other & ~one).sum())
        p_value = m.mcnemar(only_before, only_after)
        return Comparison(
            *names, metric, difference, "McNemar", p_value, p_value < 1 - confidence,
            only_before, only_after,
        )  # fmt: skip
    significant = not difference.low <= 0 <= difference.high
    return Comparison(*names, metric, difference, "paired bootstrap", None, significant)


def _class(label: Array | int | None, classes: int) -> int:
    if label is None:
        raise InputError("a sample has no label", "every sample needs one, or none of them")
    if not isinstance(label, int):
        if not is_one_hot(label):
            raise InputError(f"a label is {np.asarray(label).ravel()[:4]}…, no class", _TASK_HINT)
        label = int(np.argmax(label))
    if not 0 <= label < classes:
        raise InputError(f"a label is {label}, the classes are 0 to {classes - 1}", _TASK_HINT)
    return label


def is_one_hot(label: Array) -> bool:
    """Whether a label, [classes], is 1 for one class and 0 for all others."""
    return bool(np.all((label == 0) | (label == 1)) and label.sum() == 1)
