"""A network of int8 and int16 layers, on cores of every kind, with both compilers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support import require
from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.graph import Array
from tinydeploy.inputs import random_inputs
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    LeakyReluOptions,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    TensorType,
)
from tinydeploy.tflite.writer import Option, Tensor, float32, int8, int32

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

BOARDS = {
    "nucleo_l4r5zi": "unicorn",
    "generic_cortex_m0": "unicorn",
    "generic_cortex_m3": "unicorn",
    "mps3_an547": "qemu",
}


@dataclass
class Network:
    """Writes a network operator by operator; `add` gives the output's number."""

    rng: np.random.Generator
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[writer.Operator] = field(default_factory=list)

    def tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data: Array, scales: Sequence[float] = (), axis: int = 0) -> int:
        return self.tensor(writer.constant(data, scales, [0] * len(scales), axis))

    def add(
        self,
        op: str,
        inputs: Sequence[int],
        output: Tensor,
        options: Mapping[int, Option] | None = None,
    ) -> int:
        result = self.tensor(output)
        self.operators.append(writer.Operator(op, tuple(inputs), (result,), options or {}))
        return result

    def weighted(
        self,
        op: str,
        source: int,
        shape: tuple[int, ...],
        output: Tensor,
        options: Mapping[int, Option] | None = None,
        axis: int = 0,
    ) -> int:
        """A layer with random weights, one scale a channel, and a bias as TFLite writes it."""
        channels, in_scale = shape[axis], self.tensors[source].scales[0]
        scales = self.rng.uniform(0.002, 0.008, channels).astype(np.float32).tolist()
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        wide = output.type == TensorType.INT16
        bias = self.rng.normal(0, 0.1, channels) / np.array(scales) / in_scale
        products = [float(np.float32(in_scale * s)) for s in scales]
        inputs = [
            source,
            self.constant(weights, scales, axis),
            self.constant(np.rint(bias).astype(np.int64 if wide else np.int32), products),
        ]
        return self.add(op, inputs, output, options)


def i16(*shape: int, scale: float = 0.0004) -> Tensor:
    return Tensor(shape, TensorType.INT16, (scale,), (0,))


def i8(*shape: int, scale: float = 0.06, zero_point: int = -5) -> Tensor:
    return Tensor(shape, TensorType.INT8, (scale,), (zero_point,))


def mixed_network() -> bytes:
    """8 x 8 x 3 floats, every operator that has int16 between int8 layers, 5 probabilities."""
    n = Network(np.random.default_rng(16))
    one: dict[int, Option] = {Conv2DOptions.STRIDE_W: int32(1), Conv2DOptions.STRIDE_H: int32(1)}
    each: dict[int, Option] = {
        DepthwiseConv2DOptions.STRIDE_W: int32(1),
        DepthwiseConv2DOptions.STRIDE_H: int32(1),
        DepthwiseConv2DOptions.DEPTH_MULTIPLIER: int32(1),
    }
    halve: dict[int, Option] = {
        Pool2DOptions.PADDING: int8(Padding.VALID),
        **{
            slot: int32(2)
            for slot in (
                Pool2DOptions.STRIDE_W,
                Pool2DOptions.STRIDE_H,
                Pool2DOptions.FILTER_WIDTH,
                Pool2DOptions.FILTER_HEIGHT,
            )
        },
    }
    image = n.tensor(Tensor((1, 8, 8, 3), TensorType.FLOAT32))
    x = n.add("QUANTIZE", [image], i16(1, 8, 8, 3, scale=2.0**-14))
    x = n.weighted("CONV_2D", x, (8, 3, 3, 3), i16(1, 8, 8, 8), one)
    a = n.add("RELU", [x], i16(1, 8, 8, 8, scale=0.0003))
    a = n.weighted("DEPTHWISE_CONV_2D", a, (1, 3, 3, 8), i16(1, 8, 8, 8), each, axis=3)
    b = n.add("TANH", [x], i16(1, 8, 8, 8, scale=2.0**-15))
    x = n.add("ADD", [a, b], i16(1, 8, 8, 8, scale=0.0005))
    a = n.add("LOGISTIC", [x], i16(1, 8, 8, 8, scale=2.0**-15))
    x = n.add("MUL", [x, a], i16(1, 8, 8, 8))
    a = n.add("MAX_POOL_2D", [x], i16(1, 4, 4, 8), halve)
    b = n.add("AVERAGE_POOL_2D", [x], i16(1, 4, 4, 8), halve)
    a = n.add("SUB", [a, b], i16(1, 4, 4, 8))
    sides = n.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))
    a, b = (n.add("PAD", [side, sides], i16(1, 5, 5, 8)) for side in (a, b))
    along: dict[int, Option] = {ConcatenationOptions.AXIS: int32(3)}
    x = n.add("CONCATENATION", [a, b], i16(1, 5, 5, 16), along)
    x = n.add("QUANTIZE", [x], i8(1, 5, 5, 16))
    x = n.weighted("CONV_2D", x, (12, 1, 1, 16), i8(1, 5, 5, 12), one)
    x = n.add("QUANTIZE", [x], i16(1, 5, 5, 12))
    x = n.add("LEAKY_RELU", [x], i16(1, 5, 5, 12), {LeakyReluOptions.ALPHA: float32(0.2)})
    x = n.add("RELU6", [x], i16(1, 5, 5, 12))
    axes = n.constant(np.array([1], np.int32))
    x = n.add("MEAN", [x, axes], i16(1, 5, 12))
    x = n.add("RESHAPE", [x], i16(1, 60))
    x = n.weighted("FULLY_CONNECTED", x, (5, 60), i16(1, 5, scale=0.0008))
    x = n.add("SOFTMAX", [x], i16(1, 5, scale=2.0**-15), {SoftmaxOptions.BETA: float32(1.0)})
    x = n.add("DEQUANTIZE", [x], Tensor((1, 5), TensorType.FLOAT32))
    return writer.write(writer.Model(tuple(n.tensors), tuple(n.operators), (image,), (x,)))


@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
@pytest.mark.parametrize("board", BOARDS)
def test_mixed_network_is_proven(board: str, toolchain: str, tmp_path: Path) -> None:
    require(toolchain, BOARDS[board], "oracle")
    model = tmp_path / "mixed.tflite"
    model.write_bytes(mixed_network())
    request = BuildRequest(model=model, board=board, out=tmp_path / "out", toolchain=toolchain)
    built = pipeline.build(request)
    samples = random_inputs(built.prepared.graph, 6)

    report, answers = pipeline.prove(built, samples, runner=BOARDS[board], layers=True)

    assert report.outcome == "verified", report.verify
    assert report.verify is not None
    assert report.verify.oracle.name == "tflite-micro"
    assert all(layer.equal for layer in report.layers if layer.kernel)
    # The network says something: its answers differ, and none is a certainty.
    probabilities = np.stack([answer[0] for answer in answers])
    assert len(np.unique(probabilities.round(3), axis=0)) > 2
    assert probabilities.max() < 0.99


def test_mixed_network_under_sanitizers(tmp_path: Path) -> None:
    require("host-cc", "oracle")
    model = tmp_path / "mixed.tflite"
    model.write_bytes(mixed_network())
    request = BuildRequest(model=model, board="host", out=tmp_path / "out", sanitize=True)
    built = pipeline.build(request)
    report, _ = pipeline.prove(built, random_inputs(built.prepared.graph, 6))
    assert report.outcome == "verified", report.verify
