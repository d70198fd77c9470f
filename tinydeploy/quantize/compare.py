"""Candidates side by side: against labels where there are some, and against the float model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
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
    most = max(answers.shape[1], 2)  # one output is a class or not
    strange = None if labels is None or labels.max() < most else int(labels.max())
    if strange is not None and ends_in_classes:
        raise InputError(
            f"a label is {strange}, the classes of {model.label} are 0 to {most - 1}",
            "count classes from 0, or leave the labels out: the float model is the measure then",
        )
    labels = labels if strange is None else None
    classes = classes and (ends_in_classes or (labels is not None and not rebuilt))
    return Yardstick(model, dataset, answers, labels if classes else None, classes)


def _class_labels(dataset: Dataset) -> Array | None:
    """[N], where every label is a class: one whole number, of whatever type, or one-hot."""
    found = []
    for sample in dataset:
        label = np.asarray(-1 if sample.label is None else sample.label, np.float64).reshape(-1)
        if label.size > 1 and scoring.is_one_hot(label):
            label = np.asarray([label.argmax()])
        if label.size != 1 or label[0] != np.rint(label[0]) or not 0 <= label[0] < 1 << 31:
            return None
        found.append(int(label[0]))
    return np.array(found, np.int64)


def _answers(judge: Judge, model: FloatModel, dataset: Dataset) -> Array:
    """[N, values], of the first output."""
    return np.stack([judge.answer(v)[0].reshape(-1) for v in model_inputs(model, dataset)])
