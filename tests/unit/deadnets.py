"""Random networks of which many channels are dead, in all the ways that channels die."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tests.e2e.test_int16 import Network, i8, i16
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    Padding,
    Pool2DOptions,
    ReducerOptions,
    SoftmaxOptions,
    TensorType,
)
from tinydeploy.tflite.writer import Option, boolean, float32, int8, int32

RELU = 1
_ACTIVATIONS = (0, 0, 0, RELU, RELU, 2, 3)
_BINARY = ("ADD", "SUB", "MUL")

Shape = tuple[int, ...]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class DeadNetwork:
    """Layer by layer; `last` is the tensor that the next one reads, `made` are all before.

    Attributes:
        wide: Whether the next tensors are int16.
    """

    def __init__(self, seed: int, *, wide: bool = False) -> None:
        self.rng, self.wide = np.random.default_rng(seed), wide
        self.network = Network(self.rng)
        batches = int(self.rng.choice([1, 1, 1, 2]))
        height, width = (int(n) for n in self.rng.integers(3, 8, 2))
        depth = int(self.rng.choice([1, 3, 8]))
        self.last = self.network.tensor(self.tensor(batches, height, width, depth))
        self.first = self.last
        self.made = [self.last]

    @property
    def shape(self) -> Shape:
        return self.network.tensors[self.last].shape

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 4

    def tensor(
        self, *shape: int, scale: float = 0.06, zero_point: int = -5, unit: float | None = None
    ) -> writer.Tensor:
        """Args:
        scale, zero_point: Of an int8 tensor.
        unit: The scale of an int16 one; None for one of the same range.
        """
        return (
            i16(*shape, scale=unit or scale / 256)
            if self.wide
            else i8(*shape, scale=scale, zero_point=zero_point)
        )

    def add(
        self,
        op: str,
        inputs: Sequence[int],
        output: writer.Tensor,
        options: Mapping[int, Option] | None = None,
    ) -> None:
        self.last = self.network.add(op, inputs, output, options)
        self.made.append(self.last)

    def conv(
        self,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        same: bool = True,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        batches, height, width, depth = self.shape
        reach = (kernel - 1) * dilation + 1
        slot = Conv2DOptions
        options: dict[int, Option] = {
            slot.PADDING: int8(Padding.SAME if same else Padding.VALID),
            slot.STRIDE_W: int32(stride),
            slot.STRIDE_H: int32(stride),
            slot.DILATION_W: int32(dilation),
            slot.DILATION_H: int32(dilation),
            slot.FUSED_ACTIVATION: int8(self.activation()),
        }
        sides = [-(-n // stride) if same else (n - reach) // stride + 1 for n in (height, width)]
        shape = (channels, kernel, kernel, depth // groups)
        self.weighted("CONV_2D", shape, 0, (batches, *sides, channels), options)

    def depthwise(self, multiplier: int = 1, dilation: int = 1) -> None:
        *around, depth = self.shape
        slot = DepthwiseConv2DOptions
        options: dict[int, Option] = {
            slot.STRIDE_W: int32(1),
            slot.STRIDE_H: int32(1),
            slot.DEPTH_MULTIPLIER: int32(multiplier),
            slot.DILATION_W: int32(dilation),
            slot.DILATION_H: int32(dilation),
            slot.FUSED_ACTIVATION: int8(self.activation()),
        }
        channels = depth * multiplier
        self.weighted("DEPTHWISE_CONV_2D", (1, 3, 3, channels), 3, (*around, channels), options)

    def dense(self, channels: int, depth: int | None = None) -> None:
        """Of rows of `depth`, or of one row a sample."""
        depth = depth or int(np.prod(self.shape[1:]))
        rows = int(np.prod(self.shape)) // depth
        options: dict[int, Option] = {
            FullyConnectedOptions.FUSED_ACTIVATION: int8(self.activation())
        }
        self.weighted("FULLY_CONNECTED", (channels, depth), 0, (rows, channels), options)

    def pool(self, op: str) -> None:
        batches, height, width, channels = self.shape
        slot = Pool2DOptions
        two = (slot.STRIDE_W, slot.STRIDE_H, slot.FILTER_WIDTH, slot.FILTER_HEIGHT)
        options: dict[int, Option] = {
            slot.PADDING: int8(Padding.SAME),
            **{s: int32(2) for s in two},
        }
        self.like(op, (batches, -(-height // 2), -(-width // 2), channels), options)

    def like(
        self,
        op: str,
        shape: Shape,
        options: Mapping[int, Option] | None = None,
        constant: Sequence[Any] | None = None,
    ) -> None:
        """With the input's scale; the second input is `constant`, int32."""
        more = [] if constant is None else [self.network.constant(np.array(constant, np.int32))]
        output = replace(self.network.tensors[self.last], shape=shape, data=None)
        self.add(op, [self.last, *more], output, options)

    def unary(self, op: str) -> None:
        output = self.tensor(*self.shape, scale=0.05, zero_point=-9)
        if op in ("LOGISTIC", "SOFTMAX"):
            output = self.tensor(*self.shape, scale=1 / 256, zero_point=-128, unit=2.0**-15)
        if op == "TANH":
            output = self.tensor(*self.shape, scale=1 / 128, zero_point=0, unit=2.0**-15)
        options: dict[int, Option] = {}
        if op == "LEAKY_RELU":
            options[LeakyReluOptions.ALPHA] = float32(float(self.rng.choice([-0.5, 0.0, 0.1, 3])))
        if op == "SOFTMAX":
            options[SoftmaxOptions.BETA] = float32(1.0)
        self.add(op, [self.last], output, options)

    def binary(self, op: str, other: int, *, swapped: bool = False) -> None:
        """With another tensor whose shape broadcasts, or one that was `constant`."""
        pair = [other, self.last] if swapped else [self.last, other]
        shape = np.broadcast_shapes(*(self.network.tensors[i].shape for i in pair))
        output = self.tensor(*shape, scale=0.09, zero_point=3)
        self.add(op, pair, output, {0: int8(self.activation())})

    def constant(self, *shape: int) -> int:
        data = self.rng.integers(-128, 128, shape)
        wide = writer.constant((256 * data).astype(np.int16), [0.03 / 256], [0])
        narrow = writer.constant(data.astype(np.int8), [0.03], [2])
        return self.network.tensor(wide if self.wide else narrow)

    def concatenation(self, axis: int, parts: Sequence[int]) -> None:
        """Of `parts`, which are rescaled to the last one's scale."""
        tensor = self.network.tensors[self.last]
        scaled = []
        for part in parts:
            other = self.network.tensors[part]
            if other.data is None and part != self.last:
                part = self.network.add("QUANTIZE", [part], replace(tensor, shape=other.shape))
            scaled.append(part)
        shape = list(tensor.shape)
        shape[axis] = sum(self.network.tensors[p].shape[axis] for p in scaled)
        options: dict[int, Option] = {ConcatenationOptions.AXIS: int32(axis)}
        self.add("CONCATENATION", scaled, replace(tensor, shape=tuple(shape)), options)

    def pad(self, channels: tuple[int, int] = (0, 0)) -> None:
        sides = [[0, 0], [1, 0], [0, 1], list(channels)]
        shape = tuple(n + sum(side) for n, side in zip(self.shape, sides, strict=True))
        self.like("PAD", shape, constant=sides)

    def mean(self, axes: Sequence[int] = (1, 2), *, keep: bool = False) -> None:
        gone = {axis % len(self.shape) for axis in axes}
        sides = [1 if i in gone else n for i, n in enumerate(self.shape)]
        shape = [n for i, n in enumerate(sides) if keep or i not in gone]
        inputs = [self.last, self.network.constant(np.array(axes, np.int32))]
        output = self.tensor(*shape, scale=0.04, zero_point=7)
        self.add("MEAN", inputs, output, {ReducerOptions.KEEP_DIMS: boolean(keep)})

    def flatten(self) -> None:
        self.like("RESHAPE", (self.shape[0], int(np.prod(self.shape[1:]))))

    def quantize(self, *, wide: bool) -> None:
        self.wide = wide
        self.add("QUANTIZE", [self.last], self.tensor(*self.shape))

    def through_float(self) -> None:
        self.add("DEQUANTIZE", [self.last], writer.Tensor(self.shape, TensorType.FLOAT32))
        self.quantize(wide=self.wide)

    def file(self, *more: int) -> bytes:
        """Args:
        more: Tensors that are outputs, too.
        """
        n = self.network
        outputs = (self.last, *more)
        model = writer.Model(tuple(n.tensors), tuple(n.operators), (self.first,), outputs)
        return writer.write(model)

    def activation(self) -> int:
        return int(self.rng.choice(_ACTIVATIONS))

    def weighted(
        self, op: str, shape: Shape, axis: int, out: Shape, options: dict[int, Option]
    ) -> None:
        rng, n, channels = self.rng, self.network, shape[axis]
        zero_point = int(rng.choice([-128, -128, -5, 0, 127]))
        output = self.tensor(*out, scale=0.06, zero_point=zero_point)
        if rng.random() < 0.1:
            output = replace(output, scales=(output.scales[0] / 6000,))  # shifts to the left
        weights = rng.integers(-127, 128, (channels, int(np.prod(shape)) // channels))
        weights = np.moveaxis(weights.reshape(channels, *np.delete(shape, axis)), 0, axis)
        single = rng.random() < 0.3
        scales = rng.uniform(0.002, 0.008, 1 if single else channels).astype(np.float32)
        source = n.tensors[self.last]
        sums = np.rint(rng.normal(0, 0.1, channels) / scales / source.scales[0]).astype(np.int64)
        rows = np.moveaxis(weights, axis, 0)
        wide_sums = self.wide and (axis == 3 or rng.random() < 0.8)
        for channel in np.flatnonzero(rng.random(channels) < rng.choice([0.0, 0.5, 0.9, 1.0])):
            how = rng.integers(6)
            if how == 0:
                rows[channel] = 0
            elif how == 1 and not single:
                scales[channel] = rng.choice([1e-9, 1e-20, 0.008 if self.wide else 0.5])
            else:
                far = int(rng.choice([1 << 22, 1 << 22, 1 << 30, (1 << 31) - 2000]))
                far <<= 8 * wide_sums
                sums[channel] = far if how == 5 else -far
        if axis == 0 and rng.random() < 0.5:
            rows[..., rng.random(shape[-1]) < 0.5] = 0  # columns that are not read
        asymmetric = single and op == "FULLY_CONNECTED" and not self.wide
        point = int(rng.choice([0, -3, 127])) if asymmetric else 0
        stored = np.clip(weights + point, -128, 127).astype(np.int8)
        kernel = writer.constant(stored, scales.tolist(), [point] * len(scales), axis)
        products = [float(np.float32(source.scales[0] * float(s))) for s in scales]
        dtype = np.int64 if wide_sums else np.int32
        bias = writer.constant(sums.astype(dtype), products, [0] * len(scales))
        absent: list[list[int]] = [[], [-1]]
        more = absent[rng.integers(2)] if rng.random() < 0.15 else [n.tensor(bias)]
        self.add(op, [self.last, self._perhaps_shared(kernel), *more], output, options)

    def _perhaps_shared(self, kernel: writer.Tensor) -> int:
        """Weights of another node where they fit, now and then."""

        def kind(tensor: writer.Tensor) -> tuple[Any, ...]:
            return (tensor.type, tensor.shape, len(tensor.scales), tensor.zero_points, tensor.axis)

        for index, other in enumerate(self.network.tensors):
            fits = other.data is not None and kind(other) == kind(kernel)
            if fits and self.rng.random() < 0.3:
                return index
        return self.network.tensor(kernel)


class _Random:
    """Adds one layer or a few, of a kind that fits where the network is."""

    def __init__(self, made: DeadNetwork) -> None:
        self.made, self.rng = made, made.rng
        self.outputs: list[int] = []

    def step(self) -> None:
        images = (
            self.convolution,
            self.convolution,
            self.convolution,
            self.depthwise,
            self.pool,
            self.residual,
            self.pad,
            self.squeeze,
        )
        any_shape = (
            self.unary,
            self.constant,
            self.concatenation,
            self.reshape,
            self.mean,
            self.transpose,
            self.dense,
            self.elsewhere,
            self.through,
            self.output,
            self.twice,
        )
        kinds = (*images, *images, *any_shape) if self.made.is_image else any_shape
        kinds[self.rng.integers(len(kinds))]()

    def pick(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def convolution(self) -> None:
        depth = self.made.shape[-1]
        groups = 2 if depth % 2 == 0 and self.rng.random() < 0.15 else 1
        channels = self.pick(1, 4, 6, 8, 12, 16, 20)
        channels += channels % groups
        kernel, stride = self.pick(1, 1, 2, 3), self.pick(1, 1, 2)
        dilation = self.pick(1, 1, 1, 2) if stride == 1 else 1
        reach = (kernel - 1) * dilation + 1
        same = self.rng.random() < 0.6 or reach > min(self.made.shape[1:3])
        self.made.conv(channels, kernel, stride, same=bool(same), dilation=dilation, groups=groups)

    def depthwise(self) -> None:
        multiplier = self.pick(1, 1, 2, 3) if self.made.shape[-1] <= 20 else 1
        self.made.depthwise(multiplier, self.pick(1, 1, 2))

    def pool(self) -> None:
        self.made.pool(self.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"))

    def residual(self) -> None:
        """A block that adds to its own input."""
        before = self.made.last
        if self.rng.random() < 0.7:
            self.made.conv(self.pick(8, 12), 1)
        self.made.conv(self.made.network.tensors[before].shape[-1], 1)
        self.made.depthwise()
        self.made.binary(self.pick(*_BINARY), before, swapped=self.rng.random() < 0.5)

    def squeeze(self) -> None:
        """Multiplied by something computed, of one pixel or of one channel."""
        before, axes = self.made.last, self.pick((1, 2), (1, 2), (3,))
        self.made.mean(axes, keep=True)
        self.made.conv(self.made.shape[-1], 1)
        if self.rng.random() < 0.5:
            self.made.unary("LOGISTIC")
        self.made.binary(self.pick(*_BINARY), before)

    def pad(self) -> None:
        self.made.pad(self.pick((0, 0), (0, 0), (1, 2)))

    def unary(self) -> None:
        narrow = "RELU" if self.made.wide else "HARD_SWISH"
        op = self.pick("RELU", "RELU6", "LEAKY_RELU", narrow, "LOGISTIC", "TANH", "QUANTIZE")
        self.made.unary(self.pick(op, op, op, "SOFTMAX"))

    def constant(self) -> None:
        shape = self.made.shape
        ones = (1,) * (len(shape) - 1)
        wanted = self.pick(shape[-1:], (*ones, shape[-1]), (1,), (*ones, 1), shape, (*ones[1:], 1))
        other = self.made.constant(*wanted)
        self.made.binary(self.pick(*_BINARY), other, swapped=self.rng.random() < 0.5)

    def concatenation(self) -> None:
        rank = len(self.made.shape)
        axis = rank - 1 if self.rng.random() < 0.7 else int(self.rng.integers(rank))

        def around(index: int) -> list[int]:
            return np.delete(self.made.network.tensors[index].shape, axis).tolist()

        kind = self.made.network.tensors[self.made.last].type
        fitting = [
            i
            for i in self.made.made
            if self.made.network.tensors[i].type == kind
            and len(self.made.network.tensors[i].shape) == rank
            and around(i) == around(self.made.last)
        ]
        parts = [self.made.last, *(self.pick(*fitting) for _ in range(self.rng.integers(3)))]
        if self.rng.random() < 0.15:
            tensor = self.made.network.tensors[self.made.last]
            dtype = np.int16 if self.made.wide else np.int8
            data = self.rng.integers(-128, 128, tensor.shape).astype(dtype)
            constant = writer.constant(data, tensor.scales, tensor.zero_points or ())
            parts.append(self.made.network.tensor(constant))
        self.rng.shuffle(parts)
        self.made.concatenation(axis, parts)

    def reshape(self) -> None:
        shape, n = self.made.shape, self.made.shape[-1]
        elements = int(np.prod(shape))
        fitting = [c for c in (n, 2 * n, 3 * n, n // 2, n + 1, elements) if c and not elements % c]
        channels = self.pick(*fitting)
        rows = elements // channels
        self.made.like("RESHAPE", self.pick((rows, channels), (1, rows, 1, channels)))

    def mean(self) -> None:
        rank = len(self.made.shape)
        axes = self.pick((1, 2), (1, 2), (1,), (-1,), (2, 3), (0,))
        fitting = [axis for axis in axes if axis < rank]
        if rank > 1 and fitting:
            self.made.mean(fitting, keep=rank == len(fitting) or self.rng.random() < 0.5)

    def transpose(self) -> None:
        rank = len(self.made.shape)
        order = self.pick(self.rng.permutation(rank), [*range(rank - 1)[::-1], rank - 1])
        shape = tuple(self.made.shape[i] for i in order)
        self.made.like("TRANSPOSE", shape, constant=list(order))

    def dense(self) -> None:
        *around, n = self.made.shape
        elements = int(np.prod(around)) * n
        depth = self.pick(n, n, elements, elements // (around[0] if around else 1))
        if n % 2 == 0:
            depth = self.pick(depth, depth, n // 2)
        if depth <= 600:
            self.made.dense(self.pick(1, 4, 8, 10, 16, 24), depth)

    def through(self) -> None:
        if self.rng.random() < 0.5:
            self.made.through_float()
        else:
            self.made.quantize(wide=not self.made.wide)

    def elsewhere(self) -> None:
        """Goes on from a tensor that others have read already."""
        tensors, last = self.made.network.tensors, self.made.last
        self.made.last = self.pick(
            *(
                i
                for i in self.made.made
                if len(tensors[i].shape) == 4 and tensors[i].type == tensors[last].type
            ),
            last,
        )

    def output(self) -> None:
        if self.made.last != self.made.first:
            self.outputs.append(self.made.last)

    def twice(self) -> None:
        self.made.binary(self.pick(*_BINARY), self.made.last)


def random_network(seed: int) -> bytes:
    """Convolutions with what may stand between them, then perhaps fully connected layers."""
    made = DeadNetwork(seed, wide=seed % 4 == 3)
    more = _Random(made)
    made.conv(more.pick(6, 8, 12, 17), more.pick(1, 3))
    for _ in range(int(made.rng.integers(3, 9))):
        more.step()
    if made.is_image and made.rng.random() < 0.7:
        made.conv(more.pick(8, 12, 16), 1)
        made.mean() if made.rng.random() < 0.5 else made.flatten()
        made.dense(more.pick(8, 16, 24))
        made.dense(more.pick(2, 8, 10))
    if made.last == made.first:
        made.conv(8, 1)
    return made.file(*(i for i in dict.fromkeys(more.outputs) if i != made.last))
