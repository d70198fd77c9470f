"""What a trial does: a recipe from a float model to a quantised one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import repair
from ..calibrate import observe
from ..data import Dataset
from ..finish import finish
from ..floatmodel import FloatModel
from ..ptq import quantize
from ..schemes import Override, Scheme, layer_schemes, tensor_bits
from ..statistics import Range, Statistics


@dataclass(frozen=True)
class Recipe:
    """How a float model is quantised.

    Attributes:
        kind: "int8", or "int16x8" for int16 activations everywhere.
        per_channel: A scale for every channel of the weights.
        calibration: A key of `statistics.METHODS`.
        repairs: Of `repair.REPAIRS`, in their order.
        int16: Numbers of layers, after the repairs, whose activations are int16.
        widened: Numbers of layers, after the repairs, whose output holds all that was seen.
    """

    kind: str = "int8"
    per_channel: bool = True
    calibration: str = "minmax"
    repairs: tuple[str, ...] = ()
    int16: tuple[int, ...] = ()
    widened: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """For people: "int8, mse, equalise, int16 in 0 and 1"."""
        parts = [self.kind, self.calibration]
        parts += [] if self.per_channel else ["per-tensor"]
        parts += self.repairs
        for what, layers in (("int16 in", self.int16), ("wide in", self.widened)):
            if layers:
                parts.append(f"{what} {'+'.join(map(str, layers))}")
        return ", ".join(parts)

    @property
    def scheme(self) -> Scheme:
        io = "int16" if self.kind == "int16x8" else "int8"
        return Scheme(kind=self.kind, io=io, per_channel=self.per_channel)  # type: ignore[arg-type]

    @property
    def overrides(self) -> tuple[Override, ...]:
        return tuple(Override(str(layer), activations="int16") for layer in self.int16)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {k: list(v) if isinstance(v, tuple) else v
                for k, v in dataclasses.asdict(self).items()}  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recipe:
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in content.items()
        }
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Made:
    """What a recipe made.

    Attributes:
        content: The finished `.tflite` file.
        model: The float model after its repairs.
        ranges: Of its activations.
        notes: What the repairs say.
        layers: How many layers each repair changed, by its name.
    """

    content: bytes
    model: FloatModel
    ranges: Mapping[str, Range]
    notes: tuple[str, ...]
    layers: Mapping[str, int]


def make(model: FloatModel, recipe: Recipe, dataset: Dataset, metadata: Mapping[str, str]) -> Made:
    """Repairs, calibrates and quantises.

    Args:
        model: The float model.
        recipe: How.
        dataset: Calibration data.
        metadata: What the file says of itself.
    """

    def quantised(repaired: FloatModel, statistics: Statistics) -> bytes:
        ranges = ranges_of(repaired, recipe, statistics)
        return quantize(repaired, ranges, recipe.scheme, recipe.overrides)

    done = repair.run(
        model,
        recipe.repairs,
        dataset,
        quantised,
        recipe.scheme,
        statistics=observe(model, dataset),
    )
    return Made(
        content=finish(done.content, metadata, label=model.label),
        model=done.model,
        ranges=ranges_of(done.model, recipe, done.statistics),
        notes=tuple(f"{s.name}: {note}" for s in done.steps for note in s.notes),
        layers={s.name: s.layers for s in done.steps if s.name},
    )


def ranges_of(model: FloatModel, recipe: Recipe, statistics: Statistics) -> Mapping[str, Range]:
    """The ranges that a recipe gives a model's activations."""
    layers = layer_schemes(model, recipe.scheme, recipe.overrides)
    ranges = dict(statistics.ranges(recipe.calibration, tensor_bits(model, recipe.scheme, layers)))
    for index in recipe.widened:
        for name in model.layers[index].outputs:
            if name in statistics.tensors:
                ranges[name] = statistics.tensors[name].full
    return ranges
