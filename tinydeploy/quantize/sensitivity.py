"""Which layers quantisation hurts: each one alone, all but each one, and what it does inside.

Alone and all-but-one models are mixed: the other layers stay in float. No microcontroller engine
here runs them; TFLite Micro's interpreter does, with its float kernels for the rest, and where it
lacks one LiteRT does. The table says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..graph import Array
from . import modelfile as mf
from .compare import Score, Yardstick
from .floatmodel import FloatModel, Layer
from .floatrun import Runner
from .inside import Inside, quantised_operators
from .ptq import quantize
from .schemes import INT8, Activations, Override, Scheme
from .statistics import Range

# They move values, in float as in int8.
_MOVES = frozenset(
    ["RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "UNPACK",
     "GATHER", "PAD", "MAX_POOL_2D"]
)  # fmt: skip

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Debugged:
    """What quantisation does to one layer's output, all layers before it quantised too.

    Attributes:
        rmse_steps: Root of the mean squared error, in steps of the output's scale; rounding alone
            is 0.29.
        snr_db: Signal to noise, in decibels; infinite where there is no error.
        worst_channel: The one with the smallest `worst_snr_db`; -1 where there are no channels.
        worst_snr_db: Of that channel.
        saturated: The share of the float model's values that lie outside what the output holds.
    """

    rmse_steps: float
    snr_db: float
    worst_channel: int
    worst_snr_db: float
    saturated: float


@dataclass(frozen=True)
class Sensitivity:
    """One layer.

    Attributes:
        layer: The layer.
        alone: How a model does in which only this layer is quantised.
        all_but: How one does in which only this layer is not.
        inside: Of the model that is quantised as a whole; None for a layer left in float.
    """

    layer: Layer
    alone: Score
    all_but: Score
    inside: Debugged | None


@dataclass(frozen=True)
class Analysis:
    """All layers that compute something.

    Attributes:
        whole: How the model does, quantised as a whole.
        debugger: What computed the tensors inside.
        layers: In execution order.
    """

    whole: Score
    debugger: str
    layers: tuple[Sensitivity, ...]

    def ranked(self) -> tuple[Sensitivity, ...]:
        """The layers, most harmful first: by the error that each one adds on its own.

        Leaving one out says less: its neighbours still round what it takes and gives.
        """
        return tuple(sorted(self.layers, key=lambda s: (-s.alone.error, s.layer.index)))


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """As JSON has it; what is not finite is null."""

    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: finite(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [finite(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    made: dict[str, Any] = finite(asdict(analysis))
    return made


def analyse(
    model: FloatModel,
    ranges: Mapping[str, Range],
    measure: Yardstick,
    scheme: Scheme = INT8,
    overrides: Sequence[Override] = (),
    progress: Progress = lambda done, of: None,
) -> Analysis:
    """Quantises layers one at a time, and all but one, and looks inside the whole.

    Args:
        model: The float model.
        ranges: Of its activations.
        measure: What the models are compared with.
        scheme, overrides: How a layer is quantised when it is.
        progress: Told how many models are done, and of how many.
    """
    content = quantize(model, ranges, scheme, overrides)
    whole = measure.score("all", content)
    layers = tuple(layer for layer in model.layers if layer.op not in _MOVES)
    name, inside = debug(model, content, measure.inputs)
    mixed = replace(scheme, io="float32")
    everything = Override("*", activations="float")
    kind: Activations = "int16" if scheme.bits == 16 else "int8"
    found = []
    for number, layer in enumerate(layers):
        progress(2 * number, 2 * len(layers))
        own = Override(str(layer.index), activations=kind)
        chosen = [o for o in overrides if o.activations is None]
        alone = quantize(model, ranges, mixed, [*overrides, everything, own, *chosen])
        first = measure.score(f"only {layer.index}", alone)
        progress(2 * number + 1, 2 * len(layers))
        left = Override(str(layer.index), activations="float")
        rest = quantize(model, ranges, mixed, [*overrides, left])
        second = measure.score(f"all but {layer.index}", rest)
        found.append(Sensitivity(layer, first, second, inside.get(layer.index)))
    return Analysis(whole, name, tuple(found))


# ---- Inside the quantised model -------------------------------------------------------------


def debug(
    model: FloatModel, content: bytes, inputs: Iterable[tuple[Array, ...]]
) -> tuple[str, Mapping[int, Debugged]]:
    """Compares every layer's output of a quantised model with the float model's.

    Args:
        model: The float model.
        content: The quantised one.
        inputs: Samples, as the float model takes them.

    Returns:
        What computed the quantised model, and each layer's figures by its number.
    """
    real, inside = Runner(model.content, keep=True), Inside(content, model.label)
    quantised = mf.read(content, model.label)
    outputs = [mf.indices(o.outputs)[0] for o in quantised_operators(quantised)]
    totals = {
        layer.index: _Totals(model.tensors[layer.name].shape)
        for layer in model.layers
        if model.tensors[layer.name].is_float and inside.port(outputs[layer.index]).scale
    }
    for values in inputs:
        real.run(values)
        inside.run(values)
        for index, total in totals.items():
            tensor = outputs[index]
            wanted = real.tensor(model.tensors[model.layers[index].name].index)
            port = inside.port(tensor)
            total.add(wanted, inside.real(tensor), port.holds, port.scale)
    return inside.name, {
        index: total.figures(inside.port(outputs[index]).scale) for index, total in totals.items()
    }


class _Totals:
    """Sums over samples, of each channel."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._channels = shape[-1] if len(shape) > 1 else 1
        self._signal = np.zeros(self._channels)
        self._noise = np.zeros(self._channels)
        self._outside = self._count = 0

    def add(
        self, wanted: Array, got: Array, holds: tuple[float, float] | None, step: float
    ) -> None:
        real = wanted.astype(np.float64).reshape(-1, self._channels)
        error = got.reshape(-1, self._channels) - real
        self._signal += (real**2).sum(axis=0)
        self._noise += (error**2).sum(axis=0)
        self._count += real.size
        if holds:
            low, high = holds
            # A softmax holds 0 to 255/256: its 1.0 is no saturation.
            margin = 1.001 * step
            self._outside += int(((real < low - margin) | (real > high + margin)).sum())

    def figures(self, scale: float) -> Debugged:
        noise, signal = float(self._noise.sum()), float(self._signal.sum())
        each = [decibels(s, n) for s, n in zip(self._signal, self._noise, strict=True)]
        worst = int(np.argmin(each)) if self._channels > 1 else -1
        return Debugged(
            rmse_steps=math.sqrt(noise / max(self._count, 1)) / scale,
            snr_db=decibels(signal, noise),
            worst_channel=worst,
            worst_snr_db=each[worst],
            saturated=self._outside / max(self._count, 1),
        )


def decibels(signal: float, noise: float) -> float:
    """A ratio of powers; infinite without noise or without a signal to lose."""
    if noise == 0 or signal == 0:
        return math.inf
    return 10 * math.log10(signal / noise)
