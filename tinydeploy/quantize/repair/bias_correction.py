"""Bias correction: what quantisation adds to a layer's output on average is taken off its bias.

Rounded weights do not sum to what they summed to, so each output channel is off by a mean that
no rounding of activations can undo. The mean output before the activation function is linear in
the mean of what each weight meets; that is measured, for the float model and for the quantised one
layer after layer, each with all layers before it corrected.

Source:
    Nagel et al. 2019 (see `equalise`), section 4.2, with the expectations from calibration data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...tflite.schema import TensorType
from .. import modelfile as mf
from ..floatmodel import FloatModel
from ..floatrun import Runner
from ..inside import Inside, quantised_operators
from .base import Change
from .editing import Editor, Linear

# Fewer than these are noise; with more, nothing changes.
_FEWEST, _MOST = 32, 256
# Multiply-accumulates of the interpreter, over all layers and samples: half a minute.
_WORK = 5_000_000_000
_SAME_PADDING = 0
_INTEGER_BIASES = {TensorType.INT32: np.int32, TensorType.INT64: np.int64}


def samples(model: FloatModel) -> int:
    """How many to correct a model with: fewer for a large one, which is run once a layer."""
    editor = Editor(model)
    layers = editor.linears()
    macs = sum(editor.weights_of(x).size * math.prod(editor.shape(x.output)[:-1]) for x in layers)
    return min(_MOST, max(_FEWEST, _WORK // max(1, macs * len(layers))))


def repair(
    model: FloatModel,
    content: bytes,
    inputs: Sequence[tuple[Array, ...]],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Change:
    """Corrects the biases of a quantised model.

    Args:
        model: The float model that it was made from.
        content: The quantised `.tflite` file.
        inputs: Some samples, as the float model takes them.
        progress: Told how many layers are done, and of how many.
    """
    editor = Editor(model)
    layers = [x for x in editor.linears() if x.op != "TRANSPOSE_CONV"]
    wanted = _float_means(model, editor, layers, inputs)
    quantised = mf.read(content, model.label)
    places = quantised_operators(quantised)
    corrected, largest = 0, 0.0
    for number, (layer, target) in enumerate(zip(layers, wanted, strict=True)):
        progress(number, len(layers))
        bias = _Bias.of(quantised, places[layer.index])
        if bias is None:
            continue
        mean = _quantised_mean(mf.write(quantised), model.label, bias, layer, inputs)
        steps = np.rint((target - mean) / bias.scales)
        if steps.any():
            bias.add(quantised, steps)
            corrected += 1
            largest = max(largest, float(np.abs(target - mean).max()))
    if not corrected:
        return Change(content, 0)
    note = f"the biases of {corrected} layers moved, by up to {largest:.3g}"
    return Change(mf.write(quantised), corrected, (note,))


@dataclass(frozen=True, eq=False)
class _Bias:
    """A quantised layer and its bias.

    Attributes:
        source: The number of its input tensor.
        weights: Real numbers.
        tensor: The number of the bias's tensor.
        values: As stored.
        scales: Of each channel's bias.
    """

    operator: Any
    source: int
    weights: Array
    tensor: int
    values: Array
    scales: Array

    @classmethod
    def of(cls, model: Any, operator: Any) -> _Bias | None:
        """None where the layer was left in float, or has no bias."""
        tensors = model.subgraphs[0].tensors
        inputs = mf.indices(operator.inputs)
        if len(inputs) < 3 or inputs[2] < 0:
            return None
        source, weights, bias = (tensors[i] for i in inputs[:3])
        scales, stored = mf.scales_of(weights), mf.constant(model, weights)
        source_scale, values = mf.scales_of(source), mf.constant(model, bias)
        if stored is None or values is None or scales is None or source_scale is None:
            return None
        if bias.type not in _INTEGER_BIASES:
            return None
        shape = [1] * stored.ndim
        shape[int(weights.quantization.quantizedDimension)] = -1
        real = stored.astype(np.float64) * scales.astype(np.float64).reshape(
            shape if scales.size > 1 else [1] * stored.ndim
        )
        own = np.broadcast_to(scales.astype(np.float64) * float(source_scale[0]), values.size)
        return cls(operator, inputs[0], real, inputs[2], values.reshape(-1), own)

    def add(self, model: Any, steps: Array) -> None:
        """Adds to the stored values, in a buffer of its own."""
        limits = np.iinfo(self.values.dtype)
        moved = np.clip(self.values.astype(np.float64) + steps, limits.min, limits.max)
        tensor = model.subgraphs[0].tensors[self.tensor]
        kept, shape = tensor.quantization, mf.shape_of(tensor)
        mf.set_constant(model, tensor, moved.astype(self.values.dtype).reshape(shape))
        tensor.quantization = kept


def _float_means(
    model: FloatModel, editor: Editor, layers: list[Linear], inputs: Sequence[tuple[Array, ...]]
) -> list[Array]:
    """Each layer's mean output before its activation function, [channels]."""
    runner = Runner(model.content, keep=True)
    held = [editor.weights_of(layer) for layer in layers]
    sums: list[Array] = [np.zeros(())] * len(layers)
    for values in inputs:
        runner.run(values)
        for number, (layer, weights) in enumerate(zip(layers, held, strict=True)):
            sums[number] = sums[number] + met(layer, runner.tensor(layer.source), weights.shape)
    return [
        product(layer, weights.astype(np.float64), total / len(inputs)) + editor.bias_of(layer)
        for layer, weights, total in zip(layers, held, sums, strict=True)
    ]


def _quantised_mean(
    content: bytes,
    label: str,
    bias: _Bias,
    layer: Linear,
    inputs: Sequence[tuple[Array, ...]],
) -> Array:
    inside = Inside(content, label)
    total: Array = np.zeros(())
    for values in inputs:
        inside.run(values)
        total = total + met(layer, inside.real(bias.source), bias.weights.shape)
    mean = product(layer, bias.weights, total / len(inputs))
    return np.asarray(mean + bias.values * bias.scales)


def met(layer: Linear, source: Array, weights: tuple[int, ...]) -> Array:
    """The mean of what each weight is multiplied with, over a layer's output pixels.

    Args:
        layer: Convolution, depthwise convolution or fully connected.
        source: Its input, real numbers, zero where it is padded.
        weights: The shape of its weights.

    Returns:
        float64 [height, width, channels] of the kernel, or [inputs].
    """
    values = source.astype(np.float64)
    if layer.op == "FULLY_CONNECTED":
        flat: Array = values.reshape(-1, weights[1]).mean(axis=0)
        return flat
    options = layer.operator.builtinOptions
    strides = (int(options.strideH), int(options.strideW))
    spreads = (int(options.dilationHFactor), int(options.dilationWFactor))
    kernel = (weights[1], weights[2])
    same = int(options.padding) == _SAME_PADDING
    counts: list[int] = []
    padded: Array = values.reshape(values.shape[-3:])
    for axis in range(2):
        reach = (kernel[axis] - 1) * spreads[axis] + 1
        size = padded.shape[axis]
        count = -(-size // strides[axis]) if same else (size - reach) // strides[axis] + 1
        missing = max((count - 1) * strides[axis] + reach - size, 0) if same else 0
        pads = [(0, 0)] * 3
        pads[axis] = (missing // 2, missing - missing // 2)
        padded = np.pad(padded, pads)
        counts.append(count)
    found = np.empty((*kernel, padded.shape[2]))
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top, left = y * spreads[0], x * spreads[1]
            part = padded[
                top : top + (counts[0] - 1) * strides[0] + 1 : strides[0],
                left : left + (counts[1] - 1) * strides[1] + 1 : strides[1],
            ]
            found[y, x] = part.mean(axis=(0, 1))
    return found


def product(layer: Linear, weights: Array, mean: Array) -> Array:
    """The mean output of a linear layer whose weights meet these means, without its bias."""
    if layer.op == "FULLY_CONNECTED":
        outputs: Array = weights @ mean
        return outputs
    if layer.op == "DEPTHWISE_CONV_2D":
        many = weights.shape[3] // mean.shape[2]
        summed: Array = (weights[0] * np.repeat(mean, many, axis=2)).sum(axis=(0, 1))
        return summed
    each: Array = (weights * mean).sum(axis=(1, 2, 3))
    return each
