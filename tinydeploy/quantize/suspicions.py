"""What looks wrong about calibration data: said before anybody wonders about an accuracy."""

from __future__ import annotations

from ..tflite.tensors import printable
from .floatmodel import FloatModel
from .statistics import Statistics, TensorStatistics

FEW_SAMPLES = 32
# Behind these an image of 0 to 255 is as it should be: the model scales it itself.
_RESCALES = ("MUL", "SUB", "ADD", "DIV", "QUANTIZE")
# The extreme value against what all but a hundredth of the values reach.
_FAR_OUT = 16.0
_MOST_NAMED = 3


def suspicions(model: FloatModel, statistics: Statistics) -> tuple[str, ...]:
    """A sentence for each thing that looks wrong; none is certain to be."""
    found: list[str] = []
    if statistics.samples < FEW_SAMPLES:
        found.append(
            f"only {statistics.samples} samples calibrate the ranges; some hundred are usual"
        )
    if statistics.samples > 1 and not statistics.varied:
        found.append("every sample is the same")
    for name in model.inputs:
        if name in statistics.tensors:
            found += _of_input(model, name, statistics.tensors[name], statistics.samples)
    found += _of_layers(model, statistics)
    found += _of_outputs(model, statistics)
    return tuple(found)


def _of_input(model: FloatModel, name: str, s: TensorStatistics, samples: int) -> list[str]:
    shown = f"the input {printable(name)}"
    if s.min == s.max:
        return [f"{shown} holds {s.min:g} everywhere, in every sample"]
    found = []
    if s.flat_samples > samples / 2:
        found.append(f"{shown} holds one value only in {s.flat_samples} of {samples} samples")
    flat = int((s.channel_min == s.channel_max).sum())
    # The edges of pictures are often empty; whole channels of a sensor are not.
    if flat and flat < s.channel_min.size and len(model.tensors[name].shape) > 1:
        found.append(f"{flat} of {s.channel_min.size} channels of {shown} never change")
    readers = {layer.op for layer in model.layers if name in layer.inputs}
    if s.min >= 0 and 127 < s.max <= 255 and s.whole and not readers & set(_RESCALES):
        found.append(
            f"{shown} runs from {s.min:g} to {s.max:g} in whole numbers, like pixels that were "
            "not normalised: --transform scale=1/255 if the model was trained on 0 to 1"
        )
    return found


def _of_layers(model: FloatModel, statistics: Statistics) -> list[str]:
    constant, far = [], []
    for layer in model.layers:
        for name in layer.outputs:
            s = statistics.tensors.get(name)
            if s is None:
                continue
            if s.min == s.max and s.count > 1:
                constant.append(f"{layer.index} {layer.op}")
            elif _outlier(s) > _FAR_OUT:
                far.append(f"{layer.index} {layer.op} (by {_outlier(s):.0f} times)")
    found = []
    if constant:
        found.append(
            f"layers that put out one value for all samples: {_named(constant)}; either the data "
            "are not what the model was trained on, or it can do without them"
        )
    if far:
        found.append(
            f"a few values lie far outside all others in layers {_named(far)}: compare "
            "--calibration percentile and mse, which clip them"
        )
    return found


def _outlier(s: TensorStatistics) -> float:
    usual = max(abs(s.quantile(0.99)), abs(s.quantile(0.01)))
    return max(abs(s.min), abs(s.max)) / usual if usual > 0 else 0.0


def _of_outputs(model: FloatModel, statistics: Statistics) -> list[str]:
    """Classifiers that are certain of everything have usually seen numbers that are too large."""
    for layer in model.layers:
        s = statistics.tensors.get(layer.name)
        # A float32 softmax gives exact zeros only where logits lie a hundred apart.
        if layer.op == "SOFTMAX" and s is not None and s.zeros > s.count / 2:
            return [
                f"the model is absolutely certain of its answers ({layer} puts out exact zeros): "
                "are the data normalised as they were for training?"
            ]
    return []


def _named(layers: list[str]) -> str:
    more = len(layers) - _MOST_NAMED
    return ", ".join(layers[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
