"""What the operators share that map each int16 on its own: rescaling, and curves from tables.

Their operators have a `ByteMap` where activations are int8, and one of these where they are int16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import multiply_by_quantized_multiplier
from ..graph import Array, DType, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall
from . import byte_map
from .base import OperatorView
from .checks import expect_shape, stored_range, symmetric

# What leaves an integer as it is.
_ONE = (1 << 30, 1)

Factor = tuple[int, int]


@dataclass(frozen=True)
class Rescale:
    """Mirrors `td_rescale`: int16 to int16 or int8, or int8 to int16.

    Attributes:
        dtypes: Of input and output.
        zero_points: Of input and output.
        above, below: (multiplier, shift) of inputs from the zero point on, and of lower ones.
        sign: Of what comes of the lower ones: 1 or -1.
        limits: The lowest and the highest output.
        elements: How many there are.
    """

    dtypes: tuple[DType, DType]
    zero_points: tuple[int, int]
    above: Factor
    below: Factor
    sign: int
    limits: tuple[int, int]
    elements: int

    @property
    def is_clamp(self) -> bool:
        """Input and output, both int16, differ by limits only."""
        return self.dtypes == (DType.INT16, DType.INT16) and (
            (self.above, self.below, self.sign) == (_ONE, _ONE, 1)
        )

    @property
    def is_identity(self) -> bool:
        return self.is_clamp and self.limits == stored_range(DType.INT16)

    def apply(self, x: Array) -> Array:
        value = x.astype(np.int64) - self.zero_points[0]
        above = multiply_by_quantized_multiplier(value, *self.above).astype(np.int64)
        below = multiply_by_quantized_multiplier(value, *self.below).astype(np.int64)
        moved = np.where(value >= 0, above, self.sign * below) + self.zero_points[1]
        wrapped = moved.astype(np.int32)
        return np.clip(wrapped, *self.limits).astype(self.dtypes[1].numpy)

    def call(self, node: Node, kernel: Kernel) -> KernelCall | None:
        if self.is_identity:
            return None
        limits: dict[str, FieldValue] = {"low": self.limits[0], "high": self.limits[1]}
        if kernel is CLAMP:
            fields: dict[str, FieldValue] = {"count": self.elements, **limits}
            return byte_map.call(node, kernel, "td_s16_limits", "td_rescale.h", fields)
        fields = {
            "count": self.elements,
            "in_zero_point": self.zero_points[0],
            "out_zero_point": self.zero_points[1],
            "above.multiplier": self.above[0],
            "above.shift": self.above[1],
            "below.multiplier": self.below[0],
            "below.shift": self.below[1],
            "sign": self.sign,
            **limits,
        }
        return byte_map.call(node, kernel, "td_rescale", "td_rescale.h", fields)


def rescale(
    view: OperatorView,
    above: Factor,
    below: Factor | None = None,
    sign: int = 1,
    limits: tuple[int, int] | None = None,
) -> Rescale:
    """What brings input 0 to output 0: of one shape, int16 ones with zero points of 0.

    Args:
        below: None for the same as `above`.
        limits: None for those of the output's type.
    """
    source, result = view.input(0), view.output(0)
    expect_shape(view, result, source.shape)
    symmetric(view, source, result)
    return Rescale(
        dtypes=(source.dtype, result.dtype),
        zero_points=(view.per_tensor(source)[1], view.per_tensor(result)[1]),
        above=above,
        below=above if below is None else below,
        sign=sign,
        limits=stored_range(result.dtype) if limits is None else limits,
        elements=result.elements,
    )


def clamp(view: OperatorView, low: int, high: int) -> Rescale:
    """Input 0 to output 0 within limits, whatever their scales."""
    return rescale(view, _ONE, limits=(low, high))


def _rescales(source: DType, result: DType) -> Kernel:
    name = {DType.INT8: "s8", DType.INT16: "s16"}
    types = name[source] if source is result else f"{name[source]}_{name[result]}"
    return Kernel(
        f"td_{types}_rescale__scalar",
        Isa.SCALAR,
        lambda p: isinstance(p, Rescale) and p.dtypes == (source, result),
    )


CLAMP = Kernel("td_s16_clamp__scalar", Isa.SCALAR, lambda p: isinstance(p, Rescale) and p.is_clamp)
RESCALE = _rescales(DType.INT16, DType.INT16)
TO_INT8 = _rescales(DType.INT16, DType.INT8)
FROM_INT8 = _rescales(DType.INT8, DType.INT16)

# ---- LOGISTIC and TANH ------------------------------------------------------------------------

# One step of a table, 1/24, is 2**9 steps of the scaled input.
_STEPS_OF_ONE = 3 << 12
_LARGEST_MULTIPLIER = 2**15 - 1


def sigmoid_table() -> NDArray[np.int32]:
    """int32 [256]: 2**16 / (1 + exp(-i / 24)), raised by half of what the straight line to the
    next entry lacks in its middle; the last is as much as 16 bits hold."""

    def curve(i: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = 65536 / (1 + np.exp(-i / 24))
        return values

    i = np.arange(256.0)
    lacking = curve(i + 0.5) - (curve(i) + curve(i + 1)) / 2
    table = np.floor(curve(i) + lacking / 2 + 0.5).astype(np.int32)
    table[-1] = 65535
    return table


@dataclass(frozen=True)
class Sigmoid:
    """Mirrors `td_sigmoid`: LOGISTIC or TANH, int16 to int16.

    Attributes:
        multiplier, shift: From the input to steps of 1/12288.
        is_tanh: TANH, else LOGISTIC.
        elements: How many there are.
    """

    multiplier: int
    shift: int
    is_tanh: bool
    elements: int

    def apply(self, x: Array) -> Array:
        half = 1 << (self.shift - 1) if self.shift > 0 else 0
        steps = (x.astype(np.int64) * self.multiplier + half) >> self.shift
        bits, most = (8, 0xFFFF << 8) if self.is_tanh else (9, 0x7FFF << 10)
        table = sigmoid_table().astype(np.int64)
        distance = np.abs(steps)
        i, rest = np.minimum(distance >> bits, 254), distance & ((1 << bits) - 1)
        between = (table[i] << bits) + rest * (table[i + 1] - table[i])
        value = np.where(distance >> bits >= 255, most, between)
        if self.is_tanh:
            above = value - (1 << 23)
            stored = np.where(steps >= 0, above + 128, 127 - above) >> 8
        else:
            stored = np.where(steps >= 0, value + 512, (1 << 25) - value + 511) >> 10
        return stored.astype(np.int16)

    def call(self, node: Node, kernel: Kernel) -> KernelCall:
        fields: dict[str, FieldValue] = {
            "table": Constant("sigmoid", sigmoid_table()),
            "count": self.elements,
            "multiplier": self.multiplier,
            "shift": self.shift,
        }
        return byte_map.call(node, kernel, "td_sigmoid", "td_sigmoid.h", fields)


def sigmoid(view: OperatorView, *, is_tanh: bool) -> Sigmoid:
    """LOGISTIC or TANH of int16, to a scale of 2**-15."""
    source, result = view.input(0, DType.INT16), view.output(0, DType.INT16)
    expect_shape(view, result, source.shape)
    symmetric(view, source, result)
    scale, out_scale = view.per_tensor(source)[0], view.per_tensor(result)[0]
    if _power_of_two(out_scale) != -15:
        view.fail(f"the output's scale is {out_scale:g}, must be 2**-15")
    multiplier, shift = _multiplier(scale, is_tanh=is_tanh)
    if multiplier > _LARGEST_MULTIPLIER:
        view.fail(f"the input's scale {scale:g} is above {_LARGEST_MULTIPLIER / _STEPS_OF_ONE:g}")
    return Sigmoid(multiplier, shift, is_tanh, result.elements)


def _multiplier(scale: float, *, is_tanh: bool) -> Factor:
    """Near these powers of two the steps are exact."""
    exact = {-12: (3, 0), -11: (6, 0)} if is_tanh else {-12: (3, 0)}
    power = _power_of_two(scale)
    if power in exact:
        return exact[power]
    multiplier, shift = scale * _STEPS_OF_ONE, 0
    while multiplier <= _LARGEST_MULTIPLIER / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    return int(multiplier), shift


def _power_of_two(scale: float) -> int | None:
    """The exponent of a scale that is a power of two, as nearly as TFLite asks for."""
    power = math.log2(scale)
    return round(power) if abs(power - round(power)) < 1e-3 else None


LOGISTIC = Kernel(
    "td_s16_logistic__scalar", Isa.SCALAR, lambda p: isinstance(p, Sigmoid) and not p.is_tanh
)
TANH = Kernel("td_s16_tanh__scalar", Isa.SCALAR, lambda p: isinstance(p, Sigmoid) and p.is_tanh)
