"""Networks of any width and depth, the same on every machine: what `scaling.py` builds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydeploy.tflite.writer import (
    Model,
    Operator,
    Option,
    Tensor,
    constant,
    int8,
    int32,
    write,
)

_SAME = 0


def separable(channels: int, image: int, layers: int) -> bytes:
    """A network of separable convolutions, as in MobileNet.

    Args:
        channels: Of every layer but the input, which has 3.
        image: Height and width of the input; the first convolution has stride 2.
        layers: Operators: a 3x3 convolution, then depthwise 3x3 and 1x1 ones in turn.

    Returns:
        A `.tflite` file, int8.
    """
    made = _Chain((1, image, image, 3))
    made.convolution(channels, 3, stride=2)
    for layer in range(1, layers):
        if layer % 2:
            made.depthwise()
        else:
            made.convolution(channels, 1)
    return made.file()


class _Chain:
    """A network in which each layer reads the one before."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._rng = np.random.default_rng(1)
        self._tensors = [_activation(shape)]
        self._operators: list[Operator] = []
        self._last = 0

    def convolution(self, channels: int, window: int, stride: int = 1) -> None:
        _, height, width, depth = self._tensors[self._last].shape
        weights = self._weights((channels, window, window, depth), channels, 0)
        shape = (1, -(-height // stride), -(-width // stride), channels)
        options = {0: int8(_SAME), 1: int32(stride), 2: int32(stride), 3: int8(1)}
        self._layer("CONV_2D", weights, shape, options)

    def depthwise(self) -> None:
        shape = tuple(self._tensors[self._last].shape)
        weights = self._weights((1, 3, 3, shape[3]), shape[3], 3)
        options = {0: int8(_SAME), 1: int32(1), 2: int32(1), 3: int32(1), 4: int8(1)}
        self._layer("DEPTHWISE_CONV_2D", weights, shape, options)

    def file(self) -> bytes:
        return write(Model(tuple(self._tensors), tuple(self._operators), (0,), (self._last,)))

    def _weights(self, shape: tuple[int, ...], channels: int, axis: int) -> tuple[Tensor, Tensor]:
        values = self._rng.integers(-127, 128, shape, np.int8)
        bias = self._rng.integers(-1000, 1000, channels, np.int32)
        fan_in = values.size // channels
        # Outputs then fill their range: sums of `fan_in` products are about 74 * 60 * its root.
        scale = float(0.01 / np.sqrt(fan_in))
        scales = [scale] * channels
        return constant(values, scales, axis=axis), constant(bias, [scale * 0.05] * channels)

    def _layer(
        self,
        op: str,
        constants: Sequence[Tensor],
        shape: tuple[int, ...],
        options: dict[int, Option],
    ) -> None:
        first = len(self._tensors)
        self._tensors += [*constants, _activation(shape)]
        output = len(self._tensors) - 1
        self._operators.append(Operator(op, (self._last, first, first + 1), (output,), options))
        self._last = output


def _activation(shape: tuple[int, ...]) -> Tensor:
    return Tensor(shape, scales=(0.05,), zero_points=(-128,), name="a")
