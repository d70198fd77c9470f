"""Small float models and data for the tests of quantisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.support import MODELS, REPOSITORY
from tinydeploy.graph import Array
from tinydeploy.quantize.calibrate import observe
from tinydeploy.quantize.data import Dataset, from_arrays
from tinydeploy.quantize.floatmodel import FloatModel, prepare
from tinydeploy.quantize.judge import open_judge
from tinydeploy.quantize.ptq import quantize
from tinydeploy.quantize.schemes import Override, Scheme
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    AddOptions,
    ConcatenationOptions,
    Conv2DOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    Padding,
    SoftmaxOptions,
    TensorType,
)
from tinydeploy.tflite.writer import Model, Operator, Option, Tensor, boolean, float32, int8, int32

DIGITS = REPOSITORY / "examples" / "digits"
KWS = MODELS / "kws_float.tflite"

OPTIONS: Mapping[str, Mapping[int, Option]] = {
    "CONV_2D": {
        Conv2DOptions.PADDING: int8(Padding.SAME),
        Conv2DOptions.STRIDE_W: int32(1),
        Conv2DOptions.STRIDE_H: int32(1),
        Conv2DOptions.DILATION_W: int32(1),
        Conv2DOptions.DILATION_H: int32(1),
    },
    "CONCATENATION": {ConcatenationOptions.AXIS: int32(-1)},
    "LEAKY_RELU": {LeakyReluOptions.ALPHA: float32(0.2)},
    "FULLY_CONNECTED": {FullyConnectedOptions.FUSED_ACTIVATION: int8(0)},
    "SOFTMAX": {SoftmaxOptions.BETA: float32(1.0)},
    "ADD": {AddOptions.POT_SCALE_INT16: boolean(False)},
}


def tensor(name: str, *shape: int) -> Tensor:
    """A float activation."""
    return Tensor(shape, type=TensorType.FLOAT32, name=name)


def weights(name: str, data: Array) -> Tensor:
    return writer.constant(data.astype(np.float32), name=name)


def network(
    tensors: Sequence[Tensor],
    layers: Sequence[tuple[str, Sequence[str], str]],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> bytes:
    """A `.tflite` of layers (operator, inputs, output) by tensor names; "" is an absent input."""
    number = {t.name: i for i, t in enumerate(tensors)} | {"": -1}
    operators = tuple(
        Operator(op, tuple(number[n] for n in ins), (number[out],), OPTIONS.get(op, {}))
        for op, ins, out in layers
    )
    ends = (tuple(number[n] for n in inputs), tuple(number[n] for n in outputs))
    return writer.write(Model(tuple(tensors), operators, *ends))


def unary(op: str, shape: tuple[int, ...] = (1, 4, 4, 8)) -> bytes:
    """One operator with one input."""
    return network([tensor("x", *shape), tensor("y", *shape)], [(op, ["x"], "y")], ["x"], ["y"])


def dense(weight: Array, bias: Array | None) -> bytes:
    """One FULLY_CONNECTED layer from "x" to "y"."""
    out, width = weight.shape
    tensors = [tensor("x", 1, width), weights("w", weight), tensor("y", 1, out)]
    tensors += [] if bias is None else [weights("b", bias)]
    names = ["x", "w", "b" if bias is not None else ""]
    return network(tensors, [("FULLY_CONNECTED", names, "y")], ["x"], ["y"])


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def digits_data() -> Dataset:
    with np.load(DIGITS / "digits_calibration.npz") as arrays:
        return from_arrays(arrays["image"][:100])


def digits() -> FloatModel:
    return prepare((DIGITS / "digits_float.tflite").read_bytes(), "digits_float.tflite")


def quantized(
    content: bytes | FloatModel,
    dataset: Dataset,
    scheme: Scheme | None = None,
    overrides: Sequence[Override] = (),
    method: str = "minmax",
) -> bytes:
    """Calibrated and quantised."""
    model = prepare(content)
    return quantize(model, observe(model, dataset).ranges(method), scheme, overrides)


def largest_error(content: bytes | FloatModel, made: bytes, dataset: Dataset) -> float:
    """Between the float model and what a device computes, over the range of the answers."""
    model = prepare(content)
    real, device = open_judge(model.content, "float"), open_judge(made, "int8")
    shapes = [model.tensors[name].shape for name in model.inputs]
    worst, low, high = 0.0, np.inf, -np.inf
    for sample in dataset:
        given = [v.reshape(s) for v, s in zip(sample.inputs, shapes, strict=True)]
        wanted, got = real.answer(given)[0], device.answer(given)[0]
        worst = max(worst, float(np.abs(wanted - got).max()))
        low, high = min(low, float(wanted.min())), max(high, float(wanted.max()))
    return worst / (high - low)
