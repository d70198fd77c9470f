"""Random networks of which many channels are dead, in all the ways that channels die."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.e2e.test_int16 import Network, i8
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Padding,
    Pool2DOptions,
    ReducerOptions,
)
from tinydeploy.tflite.writer import Option, boolean, int8, int32

RELU = 1


class DeadNetwork:
    """Layer by layer; `last` is the tensor that the next one reads."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.network = Network(self.rng)
        height, width = (int(n) for n in self.rng.integers(4, 9, 2))
        self.last = self.network.tensor(i8(1, height, width, int(self.rng.choice([1, 3, 8]))))
        self.first = self.last

    @property
    def shape(self) -> tuple[int, ...]:
        return self.network.tensors[self.last].shape

    def conv(
        self,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        same: bool | None = None,
        relu: bool | None = None,
    ) -> None:
        _, height, width, depth = self.shape
        if same is None:
            same = bool(self.rng.random() < 0.6) or kernel > min(height, width)
        if relu is None:
            relu = bool(self.rng.random() < 0.5)
        sides = [-(-n // stride) if same else (n - kernel) // stride + 1 for n in (height, width)]
        slot = Conv2DOptions
        options: dict[int, Option] = {
            slot.PADDING: int8(Padding.SAME if same else Padding.VALID),
            slot.STRIDE_W: int32(stride),
            slot.STRIDE_H: int32(stride),
            slot.FUSED_ACTIVATION: int8(RELU if relu else 0),
        }
        shape = (channels, kernel, kernel, depth)
        self._weighted("CONV_2D", shape, 0, (1, *sides, channels), options)

    def depthwise(self, multiplier: int = 1) -> None:
        _, height, width, depth = self.shape
        slot = DepthwiseConv2DOptions
        options: dict[int, Option] = {
            slot.STRIDE_W: int32(1),
            slot.STRIDE_H: int32(1),
            slot.DEPTH_MULTIPLIER: int32(multiplier),
            slot.FUSED_ACTIVATION: int8(RELU if self.rng.random() < 0.5 else 0),
        }
        channels = depth * multiplier
        shape = (1, 3, 3, channels)
        self._weighted("DEPTHWISE_CONV_2D", shape, 3, (1, height, width, channels), options)

    def dense(self, channels: int) -> None:
        depth = int(np.prod(self.shape[1:]))
        self._weighted("FULLY_CONNECTED", (channels, depth), 0, (1, channels), {})

    def pool(self, op: str) -> None:
        _, height, width, channels = self.shape
        slot = Pool2DOptions
        two = (slot.STRIDE_W, slot.STRIDE_H, slot.FILTER_WIDTH, slot.FILTER_HEIGHT)
        options: dict[int, Option] = {
            slot.PADDING: int8(Padding.SAME),
            **{s: int32(2) for s in two},
        }
        shape = (1, -(-height // 2), -(-width // 2), channels)
        source = self.network.tensors[self.last]
        self.last = self.network.add(op, [self.last], _like(source, shape), options)

    def unary(self, op: str) -> None:
        scale, zero_point = (1 / 256, -128) if op == "LOGISTIC" else (0.05, -9)
        output = i8(*self.shape, scale=scale, zero_point=zero_point)
        self.last = self.network.add(op, [self.last], output)

    def binary(self, op: str, other: int) -> None:
        """With another tensor of the same shape, or one that was `constant`."""
        output = i8(*self.shape, scale=0.09, zero_point=3)
        self.last = self.network.add(op, [self.last, other], output)

    def constant(self, *shape: int) -> int:
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.network.tensor(writer.constant(data, [0.03], [2]))

    def pad(self) -> None:
        sides = self.network.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))
        source = self.network.tensors[self.last]
        _, height, width, channels = self.shape
        output = _like(source, (1, height + 1, width + 1, channels))
        self.last = self.network.add("PAD", [self.last, sides], output)

    def mean(self) -> None:
        axes = self.network.constant(np.array([1, 2], np.int32))
        output = i8(1, self.shape[-1], scale=0.04, zero_point=7)
        options: dict[int, Option] = {ReducerOptions.KEEP_DIMS: boolean(False)}
        self.last = self.network.add("MEAN", [self.last, axes], output, options)

    def flatten(self) -> None:
        source = self.network.tensors[self.last]
        shape = (1, int(np.prod(self.shape[1:])))
        self.last = self.network.add("RESHAPE", [self.last], _like(source, shape))

    def file(self, *more: int) -> bytes:
        """Args:
        more: Tensors that are outputs, too.
        """
        n = self.network
        outputs = (self.last, *more)
        model = writer.Model(tuple(n.tensors), tuple(n.operators), (self.first,), outputs)
        return writer.write(model)

    def _weighted(
        self,
        op: str,
        shape: tuple[int, ...],
        axis: int,
        out: tuple[int, ...],
        options: dict[int, Option],
    ) -> None:
        rng, n = self.rng, self.network
        zero_point = -128 if options and rng.random() < 0.5 else -5
        output = i8(*out, scale=0.06, zero_point=zero_point)
        self.last = n.weighted(op, self.last, shape, output, options, axis)
        _, kernel, bias = n.operators[-1].inputs
        channels = shape[axis]
        weights = np.moveaxis(_array(n, kernel, np.int8).reshape(shape).copy(), axis, 0)
        sums = _array(n, bias, np.int32).copy()
        scales = list(n.tensors[kernel].scales)
        for channel in np.flatnonzero(rng.random(channels) < rng.choice([0.0, 0.5, 0.9])):
            how = rng.integers(4)
            if how == 0:
                weights[channel] = 0
            elif how == 1:
                scales[channel] = float(np.float32(1e-9))
            else:
                sums[channel] = (-1 if how == 2 else 1) * (1 << 22)
        if axis == 0 and rng.random() < 0.5:
            weights[..., rng.random(shape[-1]) < 0.5] = 0  # columns that are not read
        data = np.ascontiguousarray(np.moveaxis(weights, 0, axis))
        n.tensors[kernel] = writer.constant(data, scales, [0] * channels, axis)
        in_scale = n.tensors[n.operators[-1].inputs[0]].scales[0]
        products = [float(np.float32(in_scale * s)) for s in scales]
        n.tensors[bias] = writer.constant(sums, products, [0] * channels)


def _array(network: Network, index: int, dtype: Any) -> np.ndarray[Any, Any]:
    data = network.tensors[index].data
    assert isinstance(data, np.ndarray)
    return data.astype(dtype)


def _like(tensor: writer.Tensor, shape: Sequence[int]) -> writer.Tensor:
    return writer.Tensor(tuple(shape), tensor.type, tensor.scales, tensor.zero_points)


def random_network(seed: int) -> bytes:
    """Convolutions with what may stand between them, then perhaps fully connected layers."""
    made = DeadNetwork(seed)
    rng = made.rng
    channels = int(rng.choice([6, 8, 12, 17]))
    made.conv(channels, int(rng.choice([1, 3])))
    outputs = []
    for _ in range(int(rng.integers(2, 6))):
        kind = rng.integers(9)
        before = made.last
        if kind == 0:
            made.conv(int(rng.choice([8, 12, 16, 20])), 1)
        elif kind == 1:
            made.conv(int(rng.choice([8, 16])), int(rng.choice([1, 3])), int(rng.choice([1, 2])))
        elif kind == 2:
            made.depthwise(int(rng.choice([1, 1, 1, 2])))
        elif kind == 3:
            made.pool(str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])))
        elif kind == 4:
            made.unary(str(rng.choice(["RELU", "LOGISTIC", "HARD_SWISH", "QUANTIZE"])))
        elif kind == 5:
            made.conv(made.shape[-1], 1)
            made.depthwise()
            if made.shape == made.network.tensors[before].shape:
                made.binary(str(rng.choice(["ADD", "SUB", "MUL"])), before)
        elif kind == 6:
            shape = (made.shape[-1],) if rng.random() < 0.5 else (1,)
            made.binary(str(rng.choice(["ADD", "MUL"])), made.constant(*shape))
        elif kind == 7:
            made.pad()
        else:
            made.conv(int(rng.choice([8, 32])), 1)
            if rng.random() < 0.2:
                outputs.append(made.last)
    if rng.random() < 0.7:
        made.mean() if rng.random() < 0.5 else made.flatten()
        made.dense(int(rng.choice([8, 16, 24])))
        made.dense(int(rng.choice([2, 8, 10])))
    if made.last in outputs:
        outputs.remove(made.last)
    return made.file(*outputs)
