"""What is odd about a dataset: said before anybody wonders about an accuracy."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..graph import Array
from .data import Dataset, Sample

FEW_SAMPLES = 32
_SAMPLES_LOOKED_AT = 1000
_CONSTANT_SHARE = 0.5
_BEYOND_SHARE = 0.01
_UNUSED_SHARE = 0.1


@dataclass
class Range:
    """What one input's values have been so far.

    Attributes:
        low, high: The smallest and largest value.
        constant: Samples that hold one value only.
    """

    low: float = math.inf
    high: float = -math.inf
    samples: int = 0
    constant: int = 0
    is_integer: bool = True
    varies: bool = False
    _first: Array | None = field(default=None, repr=False)

    def add(self, value: Array, name: str, number: int) -> None:
        """Takes a sample into account.

        Raises:
            InputError: It holds NaN or infinity.
        """
        if value.dtype.kind not in "fiub":
            raise InputError(f"sample {number} of {name!r:.60} holds {value.dtype}, not numbers")
        if value.size == 0:
            raise InputError(f"sample {number} of {name!r:.60} is empty: {list(value.shape)}")
        low, high = float(value.min()), float(value.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(
                f"sample {number} of {name!r:.60} holds NaN or infinity",
                "clean the data: numpy.isfinite finds where",
            )
        self.samples += 1
        self.constant += low == high and value.size > 1
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.is_integer = self.is_integer and value.dtype.kind in "iu"
        if self._first is None:
            self._first = np.array(value)
        elif not self.varies:
            self.varies = not np.array_equal(self._first, value)


class Examination:
    """Looks at samples as they pass by, and says what looks wrong.

    Args:
        names: Of the inputs.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.ranges = {name: Range() for name in names}
        self.labels: Counter[int] = Counter()
        self.samples = 0

    def add(self, sample: Sample) -> None:
        """Takes a sample into account; see `Range.add()`."""
        for name, value in zip(self.ranges, sample.inputs, strict=True):
            self.ranges[name].add(np.asarray(value), name, self.samples)
        if isinstance(sample.label, int):
            self.labels[sample.label] += 1
        self.samples += 1

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that looks wrong; none is certain to be."""
        found = []
        if self.samples < FEW_SAMPLES:
            few = "is only 1 sample" if self.samples == 1 else f"are only {self.samples} samples"
            found.append(f"there {few}: figures of them say little")
        for name, seen in self.ranges.items():
            found += [f"input {name!r:.60} {text}" for text in _oddities(seen)]
        if len(self.labels) == 1 and self.samples > 1:
            found.append(f"every sample has the label {next(iter(self.labels))}")
        return tuple(found)


def examine(dataset: Dataset, most: int = _SAMPLES_LOOKED_AT) -> tuple[str, ...]:
    """What looks wrong about the first `most` samples.

    Raises:
        InputError: A sample holds NaN, infinity or no number at all.
    """
    examination = Examination(dataset.names)
    for number, sample in enumerate(dataset):
        if number == most:
            break
        examination.add(sample)
    return examination.warnings()


def fit_of_range(low: float, high: float, held_low: float, held_high: float) -> str:
    """How a range of values fits what a quantised input can hold; "" when it does."""
    width = held_high - held_low
    beyond = max(held_low - low, high - held_high)
    held = f"the model's input holds {held_low:.4g} to {held_high:.4g}"
    if beyond > _BEYOND_SHARE * width:
        return f"runs from {low:.4g} to {high:.4g}, {held}: another normalisation?"
    if high - low < _UNUSED_SHARE * width:
        return f"runs from {low:.4g} to {high:.4g} only, {held}: another normalisation?"
    return ""


def _oddities(seen: Range) -> list[str]:
    found = []
    if seen.samples > 1 and not seen.varies:
        found.append("is the same in every sample")
    elif seen.constant > _CONSTANT_SHARE * seen.samples:
        found.append(f"holds one value only in {seen.constant} of {seen.samples} samples")
    pixels = not seen.is_integer and seen.low >= 0 and 128 < seen.high <= 255
    if pixels:
        found.append(
            f"runs from {seen.low:g} to {seen.high:g} like pixels that were not normalised "
            "(--transform scale=1/255)"
        )
    elif not seen.is_integer and max(abs(seen.low), abs(seen.high)) > 1000:
        found.append(f"runs from {seen.low:g} to {seen.high:g}: was it normalised?")
    return found
