"""Candidates side by side: against labels where there are some, and against the float model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..graph import Array
from . import scoring
from .calibrate import model_inputs
from .data import Dataset, subset
from .floatmodel import FloatModel
from .judge import Judge, open_judge
from .metrics import guesses

# So that a comparison of many candidates stays a matter of seconds.
MOST_COMPARED = 500


@dataclass(frozen=True)
class Score:
    """How a candidate did.

    Attributes:
        name: The method, or the number of samples.
        judge: What computed it.
        error: Mean squared error against the float model's outputs.
        agreeing: Share of samples on which it answers the float model's class; None for outputs
            that are no classes.
        correct: Right answers; None without labels.
        samples: How many were looked at.
    """

    name: str
    judge: str
    error: float
    agreeing: float | None
    correct: int | None
    samples: int

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller is better: right answers first, then closeness."""
        return (-(self.correct or 0), self.error)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The float model's answers, which candidates are measured against.

    Attributes:
        model: The float model.
        dataset: Gone through again for each candidate: it may not fit the memory.
        answers: [N, values], of its first output.
        labels: [N]; None where there are none.
        classes: Whether the answers are classes.
    """

    model: FloatModel
    dataset: Dataset
    answers: Array
    labels: Array | None
    classes: bool

    @property
    def inputs(self) -> Iterator[tuple[Array, ...]]:
        """The samples as the float model takes them, one at a time, from the first."""
        return model_inputs(self.model, self.dataset)

    def score(self, name: str, content: bytes) -> Score:
        """How the `.tflite` file does, computed as a device would."""
        judge = open_judge(content, name)
        return self._scored(name, judge.name, _answers(judge, self.model, self.dataset))

    def part(self, count: int) -> Yardstick:
        """The same on at most `count` samples, spread over all of them."""
        of = len(self.answers)
        chosen = [i * of // count for i in range(count)] if count < of else list(range(of))
        labels = None if self.labels is None else self.labels[chosen]
        part = subset(self.dataset, count)  # the same samples
        return Yardstick(self.model, part, self.answers[chosen], labels, self.classes)

    def of_float(self, name: str = "float") -> Score:
        return self._scored(name, "LiteRT", self.answers)

    def _scored(self, name: str, judge: str, answers: Array) -> Score:
        agreeing = correct = None
        if self.classes:
            chosen = guesses(answers)
            agreeing = float((chosen == guesses(self.answers)).mean())
            if self.labels is not None:
                correct = int((chosen == self.labels).sum())
        error = float(((answers - self.answers) ** 2).mean())
        return Score(name, judge, error, agreeing, correct, len(answers))


def yardstick(model: FloatModel, dataset: Dataset) -> Yardstick:
    """Runs the float model over a dataset."""
    answers = _answers(open_judge(model.content, model.label), model, dataset)
    labels = _class_labels(dataset)
    output = model.tensors[model.outputs[0]]
    last = model.producer(output.name)
    ends_in_classes = last is not None and last.op in ("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX")
    classes = answers.shape[1] > 1 or ends_in_classes
    # What looks like the input reconstructs it, and its labels tell anomalies.
    given = model.tensors[model.inputs[0]]
    rebuilt = answers.shape[1] > 2 and scoring.mirrors(given.shape, output.shape)
    classes = classes and (ends_in_classes or (labels is not None and not rebuilt))
    return Yardstick(model, dataset, answers, labels if classes else None, classes)


def _class_labels(dataset: Dataset) -> Array | None:
    """[N], where every label is one whole number, of whatever type; else None."""
    given = [np.asarray(-1 if s.label is None else s.label, np.float64) for s in dataset]
    if any(label.size != 1 for label in given):
        return None
    labels = np.array([label.reshape(-1)[0] for label in given])
    whole = (labels == np.rint(labels)).all() and (labels >= 0).all()
    return labels.astype(np.int64) if whole else None


def _answers(judge: Judge, model: FloatModel, dataset: Dataset) -> Array:
    """[N, values], of the first output."""
    return np.stack([judge.answer(v)[0].reshape(-1) for v in model_inputs(model, dataset)])
