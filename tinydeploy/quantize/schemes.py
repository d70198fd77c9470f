"""What is wanted: a scheme for the model, and what is different for some of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from .floatmodel import FloatModel
from .ranges import closest, matching

Kind = Literal["int8", "int16x8", "dynamic", "float16"]
IoType = Literal["int8", "uint8", "int16", "float32"]
Activations = Literal["int8", "int16", "float"]

KINDS: tuple[Kind, ...] = ("int8", "int16x8", "dynamic", "float16")
IO_TYPES: tuple[IoType, ...] = ("int8", "uint8", "int16", "float32")


@dataclass(frozen=True)
class Scheme:
    """How a model is quantised.

    Attributes:
        kind: int8, or int16x8 (activations of 16 bits, weights of 8). For comparison only:
            dynamic (weights of 8 bits, activations in float) and float16 (weights).
        io: The type of the model's inputs and outputs; None is that of the activations.
        per_channel: A scale for every output channel of the weights.
        symmetric: int8 activations with a zero point of 0; int16 ones always are.
    """

    kind: Kind = "int8"
    io: IoType | None = None
    per_channel: bool = True
    symmetric: bool = False

    @property
    def bits(self) -> int:
        return 16 if self.kind == "int16x8" else 8

    @property
    def is_static(self) -> bool:
        """Whether activations are integers: what a microcontroller runs."""
        return self.kind in ("int8", "int16x8")

    @property
    def io_type(self) -> IoType:
        if not self.is_static:
            return "float32"
        return self.io or ("int16" if self.kind == "int16x8" else "int8")


INT8 = Scheme()


@dataclass(frozen=True)
class Override:
    """What is different for some layers.

    Attributes:
        pattern: A layer's number, its output's name or an operator such as CONV_2D; with * and ?.
        activations: Their type in these layers; None as the scheme has it.
        per_channel, symmetric: As in `Scheme`; None as it has it.
    """

    pattern: str
    activations: Activations | None = None
    per_channel: bool | None = None
    symmetric: bool | None = None


@dataclass(frozen=True)
class LayerScheme:
    """How one layer is quantised: the scheme, with the overrides that match."""

    activations: Activations
    per_channel: bool
    symmetric: bool

    @property
    def bits(self) -> int:
        return 16 if self.activations == "int16" else 8


def layer_schemes(
    model: FloatModel, scheme: Scheme, overrides: Sequence[Override] = ()
) -> tuple[LayerScheme, ...]:
    """Each layer's own scheme.

    Raises:
        InputError: An override matches no layer.
    """
    default = LayerScheme(
        activations="int16" if scheme.kind == "int16x8" else "int8",
        per_channel=scheme.per_channel,
        symmetric=scheme.symmetric,
    )
    chosen = [default] * len(model.layers)
    for override in overrides:
        found = matching_layers(model, override.pattern)
        for index in found:
            old = chosen[index]
            chosen[index] = LayerScheme(
                activations=override.activations or old.activations,
                per_channel=_first(override.per_channel, old.per_channel),
                symmetric=_first(override.symmetric, old.symmetric),
            )
    return tuple(chosen)


def matching_layers(model: FloatModel, pattern: str) -> tuple[int, ...]:
    """The layers that a pattern means.

    Raises:
        InputError: None.
    """
    if pattern.isascii() and pattern.isdigit() and int(pattern) < len(model.layers):
        return (int(pattern),)
    named = set(matching(pattern, (layer.name for layer in model.layers)))
    kinds = set(matching(pattern, {layer.op for layer in model.layers}))
    found = tuple(x.index for x in model.layers if x.name in named or x.op in kinds)
    if not found:
        raise InputError(
            f"no layer of {model.label} matches {pattern!r:.80}",
            closest(pattern, (layer.name for layer in model.layers)),
        )
    return found


def tensor_bits(
    model: FloatModel, scheme: Scheme, layers: Sequence[LayerScheme]
) -> Mapping[str, int]:
    """How many bits each activation has, for methods and scales that depend on it."""
    bits = dict.fromkeys(model.inputs, 16 if scheme.io_type == "int16" else 8)
    if scheme.io_type == "float32":
        bits = dict.fromkeys(model.inputs, scheme.bits)
    for layer, own in zip(model.layers, layers, strict=True):
        bits |= dict.fromkeys(layer.outputs, own.bits)
    return bits


def _first(value: bool | None, otherwise: bool) -> bool:
    return otherwise if value is None else value
