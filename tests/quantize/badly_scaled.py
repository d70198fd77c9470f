"""A made-up network that int8 spoils: its channels differ in size by orders of magnitude.

Convolution, depthwise convolution, 1x1 convolution, mean, dense, softmax. Two of its activations
have channels that differ by up to 2^SPREAD, undone by the next layer, so that the float network
computes what an evenly scaled one computes.
"""

from __future__ import annotations

import numpy as np

from tests.quantize.floats import tensor, weights
from tinydeploy.graph import Array
from tinydeploy.quantize.data import Dataset, from_arrays
from tinydeploy.quantize.floatmodel import prepare
from tinydeploy.quantize.judge import open_judge
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    AddOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    MulOptions,
    ReducerOptions,
    SoftmaxOptions,
)
from tinydeploy.tflite.writer import Model, Operator, Tensor, boolean, float32, int8, int32

RELU, RELU6 = 1, 3
CHANNELS = 16
SHAPE = (8, 8, 3)
CLASSES = 6


def conv_options(activation: int) -> dict[int, writer.Option]:
    o = Conv2DOptions
    return {o.PADDING: int8(0), o.STRIDE_W: int32(1), o.STRIDE_H: int32(1),
            o.FUSED_ACTIVATION: int8(activation), o.DILATION_W: int32(1),
            o.DILATION_H: int32(1)}  # fmt: skip


def depthwise_options(activation: int) -> dict[int, writer.Option]:
    o = DepthwiseConv2DOptions
    return {o.PADDING: int8(0), o.STRIDE_W: int32(1), o.STRIDE_H: int32(1),
            o.DEPTH_MULTIPLIER: int32(1), o.FUSED_ACTIVATION: int8(activation),
            o.DILATION_W: int32(1), o.DILATION_H: int32(1)}  # fmt: skip


class Builder:
    """Tensors and operators, one after another."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def layer(
        self, op: str, inputs: list[int], shape: tuple[int, ...], options: dict[int, writer.Option]
    ) -> int:
        output = self.add(tensor(f"{op.lower()}_{len(self.operators)}", *shape))
        self.operators.append(Operator(op, tuple(inputs), (output,), options))
        return output

    def constant(self, data: Array) -> int:
        name = f"c{len(self.tensors)}"
        if data.dtype == np.int32:
            return self.add(writer.constant(data, name=name))
        return self.add(weights(name, data))


def network(
    spread: float = 8.0,
    activation: int = RELU,
    batch_norm: bool = False,
    first_only: bool = False,
    seed: int = 1,
) -> bytes:
    """The float `.tflite`, its answers about evenly spread over the classes.

    Args:
        spread: Channels differ by up to 2^spread.
        activation: After each convolution.
        batch_norm: With a MUL and an ADD behind the first convolution.
        first_only: Only the first activation is badly scaled: weights that have a scale for each
            channel do not suffer, and 16 bits for that activation are enough.
        seed: Of the weights.
    """
    first = _network(spread, activation, batch_norm, first_only, seed, np.zeros(CLASSES))
    judge = open_judge(prepare(first).content, "float")
    logits = [np.log(judge.answer([x[None]])[0][0]) for x in images(100, seed=99)]
    centre = -np.mean(logits, axis=0)
    return _network(spread, activation, batch_norm, first_only, seed, centre)


def _network(
    spread: float,
    activation: int,
    batch_norm: bool,
    first_only: bool,
    seed: int,
    centre: Array,
) -> bytes:
    rng = np.random.default_rng(seed)
    sizes = [2.0 ** rng.permutation(np.linspace(-spread / 2, spread / 2, CHANNELS)) for _ in "12"]
    if first_only:
        sizes[1] = np.ones(CHANNELS)
    c, area = CHANNELS, SHAPE[:2]
    stem = rng.standard_normal((c, 3, 3, SHAPE[2])) / 3
    spatial = rng.standard_normal((1, 3, 3, c)) / 2
    mix = rng.standard_normal((c, 1, 1, c)) / 2
    head = rng.standard_normal((CLASSES, c)) * 1.5
    stem_bias, spatial_bias = rng.standard_normal(c) / 4, rng.standard_normal(c) / 4
    stem, stem_bias = stem * sizes[0][:, None, None, None], stem_bias * sizes[0]
    spatial, spatial_bias = spatial * sizes[1] / sizes[0], spatial_bias * sizes[1]
    mix = mix / sizes[1]
    b = Builder()
    x = image = b.add(tensor("image", 1, *SHAPE))
    wide = (1, *area, c)
    if batch_norm:
        factor = rng.uniform(0.5, 2, c)
        x = b.layer("CONV_2D", [x, b.constant(stem / factor[:, None, None, None]),
                                b.constant(np.zeros(c))], wide, conv_options(0))  # fmt: skip
        x = b.layer("MUL", [x, b.constant(factor)], wide, {MulOptions.FUSED_ACTIVATION: int8(0)})
        x = b.layer("ADD", [x, b.constant(stem_bias)], wide,
                    {AddOptions.FUSED_ACTIVATION: int8(activation),
                     AddOptions.POT_SCALE_INT16: boolean(False)})  # fmt: skip
    else:
        x = b.layer("CONV_2D", [x, b.constant(stem), b.constant(stem_bias)], wide,
                    conv_options(activation))  # fmt: skip
    x = b.layer("DEPTHWISE_CONV_2D", [x, b.constant(spatial), b.constant(spatial_bias)], wide,
                depthwise_options(activation))  # fmt: skip
    x = b.layer("CONV_2D", [x, b.constant(mix), b.constant(np.zeros(c))], wide,
                conv_options(activation))  # fmt: skip
    x = b.layer("MEAN", [x, b.constant(np.array([1, 2], np.int32))], (1, c),
                {ReducerOptions.KEEP_DIMS: boolean(False)})  # fmt: skip
    x = b.layer("FULLY_CONNECTED", [x, b.constant(head), b.constant(centre)],
                (1, CLASSES), {FullyConnectedOptions.FUSED_ACTIVATION: int8(0)})  # fmt: skip
    x = b.layer("SOFTMAX", [x], (1, CLASSES), {SoftmaxOptions.BETA: float32(1.0)})
    return writer.write(Model(tuple(b.tensors), tuple(b.operators), (image,), (x,)))


def images(count: int, seed: int = 0) -> Array:
    """Pictures with some structure, so that the classes vary: float32 [N, 8, 8, 3]."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((count, 1, 1, 3)) + 0.7 * rng.standard_normal((count, *SHAPE))
    return base.astype(np.float32)


def data(content: bytes, count: int = 200, seed: int = 0) -> Dataset:
    """Pictures, labelled with what the float network answers: it is always right."""
    given = images(count, seed)
    judge = open_judge(prepare(content).content, "float")
    answers = [int(np.argmax(judge.answer([x[None]])[0])) for x in given]
    return from_arrays(given, np.array(answers))
