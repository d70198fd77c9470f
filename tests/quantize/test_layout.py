"""Transpositions that an import leaves: which go, which stay, and that the answers stay equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support import require
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    ConcatenationOptions,
    Conv2DOptions,
    ReducerOptions,
    SoftmaxOptions,
    TensorType,
)

NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _tools() -> None:
    require("ptq")


class Net:
    """A float model, an operator at a time; tensors are numbers."""

    def __init__(self, *shapes: Sequence[int]) -> None:
        self.tensors: list[writer.Tensor] = []
        self.operators: list[writer.Operator] = []
        self.inputs = tuple(self.runtime(shape) for shape in shapes)

    def runtime(self, shape: Sequence[int]) -> int:
        name = f"t{len(self.tensors)}"
        self.tensors.append(writer.Tensor(tuple(shape), TensorType.FLOAT32, name=name))
        return len(self.tensors) - 1

    def const(self, data: np.ndarray) -> int:
        self.tensors.append(writer.constant(data, name=f"c{len(self.tensors)}"))
        return len(self.tensors) - 1

    def op(self, name: str, inputs: Sequence[int], shape: Sequence[int], **options: object) -> int:
        made = self.runtime(shape)
        given = options.get("options", {})
        self.operators.append(writer.Operator(name, tuple(inputs), (made,), given))  # type: ignore[arg-type]
        return made

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.tensors[tensor].shape

    def transpose(self, x: int, order: Sequence[int]) -> int:
        shape = [self.shape(x)[axis] for axis in order]
        return self.op("TRANSPOSE", [x, self.const(np.array(order, np.int32))], shape)

    def conv(self, x: int, channels: int) -> int:
        batch, height, width, depth = self.shape(x)
        weights = self.const(RNG.normal(size=(channels, 1, 1, depth)).astype(np.float32))
        bias = self.const(RNG.normal(size=channels).astype(np.float32))
        options = {Conv2DOptions.STRIDE_W: writer.int32(1), Conv2DOptions.STRIDE_H: writer.int32(1)}
        return self.op(
            "CONV_2D", [x, weights, bias], (batch, height, width, channels), options=options
        )

    def dense(self, x: int, units: int) -> int:
        size = int(np.prod(self.shape(x)))
        weights = self.const(RNG.normal(size=(units, size)).astype(np.float32))
        return self.op("FULLY_CONNECTED", [x, weights, -1], (1, units))

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        return self.op("RESHAPE", [x, self.const(np.array(shape, np.int32))], shape)

    def file(self, *outputs: int) -> bytes:
        return writer.write(
            writer.Model(tuple(self.tensors), tuple(self.operators), self.inputs, outputs)
        )


def _settled(content: bytes) -> tuple[list[str], tuple[str, ...], int]:
    """(operators, notes, bytes moved), after the answers were found equal."""
    from tinydeploy.quantize.floatmodel import prepare
    from tinydeploy.quantize.floatrun import Runner
    from tinydeploy.quantize.imports.layout import settle

    settled = settle(content, "net")
    before, after = Runner(content), Runner(settled.content)
    values = [RNG.normal(size=p.shape).astype(np.float32) for p in before.inputs]
    laid = [_as(v, p.shape) for v, p in zip(values, after.inputs, strict=True)]
    for wanted, found in zip(before.run(values), after.run(laid), strict=True):
        np.testing.assert_allclose(found, _as(wanted, found.shape), atol=1e-5)
    operators = [layer.op for layer in prepare(settled.content).layers]
    return operators, settled.notes, settled.moved


def _as(value: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return value if value.shape == tuple(shape) else np.moveaxis(value, 1, -1)


def test_pair_and_ends_go() -> None:
    net = Net((1, 3, 4, 5))
    x = net.conv(net.transpose(net.inputs[0], NHWC), 6)
    x = net.transpose(net.transpose(x, NCHW), NHWC)
    operators, notes, moved = _settled(net.file(net.transpose(net.conv(x, 2), NCHW)))
    assert operators == ["CONV_2D", "CONV_2D"]
    assert moved == 0
    assert "--transform channels-last" in notes[0]
    assert "[1, 4, 5, 3]" in notes[0]
    assert "output" in notes[1]


def test_moves_through_elementwise_pads_concatenations_and_means() -> None:
    net = Net((1, 3, 4, 5))
    scale = net.const(RNG.normal(size=(3, 1, 1)).astype(np.float32))
    x = net.op("MUL", [net.inputs[0], scale], (1, 3, 4, 5))
    x = net.transpose(net.conv(net.transpose(x, NHWC), 6), NCHW)
    y = net.op("RELU", [x], net.shape(x))
    both = {ConcatenationOptions.AXIS: writer.int32(1)}
    x = net.op("CONCATENATION", [x, y], (1, 12, 4, 5), options=both)
    pads = net.const(np.array([[0, 0], [0, 0], [1, 2], [0, 3]], np.int32))
    x = net.op("PAD", [x, pads], (1, 12, 7, 8))
    x = net.transpose(net.conv(net.transpose(x, NHWC), 4), NCHW)
    x = net.op("MEAN", [x, net.const(np.array([2, 3], np.int32))], (1, 4),
               options={ReducerOptions.KEEP_DIMS: writer.boolean(False)})  # fmt: skip
    operators, _, moved = _settled(net.file(x))
    assert "TRANSPOSE" not in operators
    assert moved == 0


def test_dense_layer_takes_the_order_into_its_weights() -> None:
    net = Net((1, 4, 5, 3))
    x = net.transpose(net.conv(net.inputs[0], 6), NCHW)
    operators, notes, _ = _settled(net.file(net.dense(net.reshape(x, (1, 120)), 7)))
    assert operators == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert notes == ()


def test_reshape_of_ones_lets_it_pass() -> None:
    """What a one-dimensional convolution of PyTorch becomes."""
    net = Net((1, 6, 20))
    x = net.transpose(net.reshape(net.inputs[0], (1, 6, 1, 20)), NHWC)
    x = net.reshape(net.transpose(net.conv(x, 8), NCHW), (1, 8, 20))
    operators, notes, moved = _settled(net.file(x))
    assert (operators.count("TRANSPOSE"), moved) == (0, 0)
    assert "[1, 20, 6]" in notes[0]


def test_dimensions_of_one_are_free() -> None:
    net = Net((1, 4, 5, 3))
    x = net.op("RELU", [net.conv(net.inputs[0], 1)], (1, 4, 5, 1))
    x = net.transpose(x, NCHW)
    operators, notes, moved = _settled(net.file(x, net.conv(net.inputs[0], 2)))
    assert "TRANSPOSE" not in operators
    assert (notes, moved) == ((), 0)


def test_what_stays_is_told() -> None:
    net = Net((1, 4, 5, 3))
    x = net.transpose(net.conv(net.inputs[0], 6), NCHW)
    softmax = {SoftmaxOptions.BETA: writer.float32(1)}
    x = net.op("SOFTMAX", [x], net.shape(x), options=softmax)
    operators, notes, moved = _settled(net.file(net.conv(net.transpose(x, NHWC), 2)))
    assert operators.count("TRANSPOSE") == 2
    assert moved == 240
    assert "layer 1 TRANSPOSE" in notes[0]
    assert "moves 120 bytes" in notes[0]


def test_several_readers() -> None:
    """Both branches of a residual block, and an end that is read twice."""
    net = Net((1, 3, 4, 5))
    t = net.transpose(net.inputs[0], NHWC)
    a = net.transpose(net.conv(t, 6), NCHW)
    b = net.op("LOGISTIC", [a], net.shape(a))
    c = net.op("ADD", [a, b], net.shape(a))
    d = net.op("ADD", [c, net.transpose(net.conv(t, 6), NCHW)], net.shape(a))
    operators, _, moved = _settled(net.file(d))
    assert "TRANSPOSE" not in operators
    assert moved == 0


@pytest.mark.parametrize("seed", range(12))
def test_random_nets_keep_their_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = Net((1, 2, 3, 4), (1, 2, 3, 4))
    there = list(net.inputs)
    for _ in range(12):
        x = there[rng.integers(len(there))]
        kind = rng.integers(5)
        if kind == 0:
            there.append(net.op("TANH", [x], net.shape(x)))
        elif kind == 1:
            same = [t for t in there if net.shape(t) == net.shape(x)]
            there.append(net.op("ADD", [x, same[rng.integers(len(same))]], net.shape(x)))
        elif kind == 2:
            there.append(net.conv(x, int(rng.integers(1, 4))))
        else:
            there.append(net.transpose(x, rng.permutation(4).tolist()))
    from tinydeploy.quantize.floatrun import Runner
    from tinydeploy.quantize.imports.layout import settle

    content = net.file(there[-1], there[-2])
    settled = settle(content, "net")
    before, after = Runner(content), Runner(settled.content)
    if any("where the source has" in note for note in settled.notes):
        return  # an end was laid out anew
    # Dimensions of 1 may have moved: the same bytes.
    values = [RNG.normal(size=p.shape).astype(np.float32) for p in before.inputs]
    given = [v.reshape(p.shape) for v, p in zip(values, after.inputs, strict=True)]
    for wanted, found in zip(before.run(values), after.run(given), strict=True):
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-5)
