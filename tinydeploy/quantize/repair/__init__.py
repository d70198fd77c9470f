"""Repairs: what saves accuracy after training, without training again.

fold-bn, equalise and clip change the float model before it is quantised; bias-correction changes
the quantised one. Each is a file here; each can be switched; `run()` shows what each brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ...errors import InputError
from ...graph import Array
from ..calibrate import model_inputs, observe
from ..compare import Score, Yardstick
from ..data import Dataset, subset
from ..floatmodel import FloatModel, prepare
from ..floatrun import Runner
from ..schemes import Scheme
from ..statistics import Statistics
from . import bias_correction, clip, equalise, fold_bn
from .base import Change, FloatRepair

__all__ = ["REPAIRS", "Repaired", "Step", "correct", "parse", "run"]

# Largest difference of a float model's answers, against the largest of them.
_SAME = 1e-5
_CHECKED_SAMPLES = 16
BIAS_CORRECTION = "bias-correction"

_ON_FLOAT: Mapping[str, FloatRepair] = MappingProxyType(
    {"fold-bn": fold_bn, "equalise": equalise, "clip": clip}
)

# In the order in which they are done, with what each is.
REPAIRS: Mapping[str, str] = MappingProxyType(
    {
        "fold-bn": "batch normalisation becomes part of the layer before it",
        "equalise": "channels of neighbouring layers are brought to one size",
        "clip": "large weights are cut off where that rounds the others better",
        BIAS_CORRECTION: "what quantisation adds on average is taken off the biases",
    }
)

# Makes the quantised file of a float model and its statistics.
Quantise = Callable[[FloatModel, Statistics], bytes]


@dataclass(frozen=True)
class Step:
    """A repair, and what it brought.

    Attributes:
        name: "" for the model before any.
        layers: How many it changed.
        notes: A sentence each.
        score: How the model does that is quantised after this and all earlier repairs; None where
            nothing was measured.
    """

    name: str
    layers: int
    notes: tuple[str, ...]
    score: Score | None


@dataclass(frozen=True, eq=False)
class Repaired:
    """A model after its repairs.

    Attributes:
        model: The float model.
        statistics: Of its activations.
        content: The quantised file.
        steps: What each repair brought, the first is before any.
    """

    model: FloatModel
    statistics: Statistics
    content: bytes
    steps: tuple[Step, ...]


def parse(text: str) -> tuple[str, ...]:
    """The repairs that a comma list names, in the order in which they are done.

    Raises:
        InputError: It names another.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if names == {"all"}:
        return tuple(REPAIRS)
    unknown = sorted(names - REPAIRS.keys())
    if unknown:
        raise InputError(
            f"{unknown[0]!r:.60} is no repair", f"--repair {','.join(REPAIRS)}, or all"
        )
    return tuple(name for name in REPAIRS if name in names)


def run(
    model: FloatModel,
    names: Sequence[str],
    dataset: Dataset,
    quantise: Quantise,
    scheme: Scheme,
    *,
    statistics: Statistics | None = None,
    measure: Yardstick | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Repaired:
    """Repairs a model and quantises it, once after each repair where a measure is given.

    Args:
        model: The float model.
        names: Of `REPAIRS`, see `parse()`.
        dataset: Calibration data.
        quantise: How.
        scheme: The same, for repairs that ask.
        statistics: Of the model, where they are known.
        measure: Of the float model before any repair.
        progress: Told the repair, its number and of how many.
    """
    seen = statistics or observe(model, dataset)
    original = model
    content = quantise(model, seen)
    steps = [Step("", 0, (), measure.score("", content) if measure else None)]
    for number, name in enumerate(names):
        progress(name, number, len(names))
        if name == BIAS_CORRECTION:
            change = correct(model, content, dataset)
            content = change.content
        else:
            change = _on_float(model, original, name, seen, dataset, scheme)
            if change.layers:
                model = prepare(change.content, model.label)
                seen = observe(model, dataset)
                content = quantise(model, seen)
        score = steps[-1].score
        if measure and change.layers:
            score = measure.score(name, content)
        steps.append(Step(name, change.layers, change.notes, score))
    return Repaired(model, seen, content, tuple(steps))


def correct(model: FloatModel, content: bytes, dataset: Dataset) -> Change:
    """Bias correction of a quantised file, see `bias_correction.repair()`."""
    some = subset(dataset, bias_correction.samples(model))
    return bias_correction.repair(model, content, tuple(model_inputs(model, some)))


def _on_float(
    model: FloatModel,
    original: FloatModel,
    name: str,
    statistics: Statistics,
    dataset: Dataset,
    scheme: Scheme,
) -> Change:
    """A repair of the float model; one that changed what it computes is taken back."""
    module = _ON_FLOAT[name]
    change = module.repair(model, statistics, scheme)
    if not change.layers or not module.keeps_function:
        return change
    off = deviation(model.content, change.content, tuple(model_inputs(original, subset(
        dataset, _CHECKED_SAMPLES))))  # fmt: skip
    if off <= _SAME:
        return change
    note = f"left out: the float model's answers would differ by {off:.2g} of the largest"
    return Change(model.content, 0, (note,))


def deviation(before: bytes, after: bytes, inputs: Sequence[tuple[Array, ...]]) -> float:
    """The largest difference of two float models' answers, as a share of the largest answer."""
    one, other = Runner(before), Runner(after)
    difference = largest = 0.0
    for values in inputs:
        for a, b in zip(one.run(values), other.run(values), strict=True):
            difference = max(difference, float(np.abs(a - b).max()))
            largest = max(largest, float(np.abs(a).max()))
    return difference / (largest or 1.0)
