"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: windows, scales, requantisation.

Source:
    https://ai.google.dev/edge/litert/models/quantization_spec, and
    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import INT32_MAX, INT32_MIN, multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType
from ..plan.plan import Constant
from ..tflite.schema import Padding
from .base import OperatorView
from .checks import integers, positive
from .requantization_16x8 import Requantization16x8, parse_16x8

# Of a stride, a dilation or a padded size, so that no position overflows 32 bits in C.
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Axis:
    """A sliding window along one axis, in pixels; `pad` is what lies before the first."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    pad: int

    def window(self, tap: int) -> slice:
        """The padded positions that tap `tap` reads, one an output."""
        first = tap * self.dilation
        return slice(first, first + (self.out - 1) * self.stride + 1, self.stride)

    @property
    def padded(self) -> tuple[int, int]:
        """How much to pad before and after so that every window lies inside."""
        reach = (self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return self.pad, max(0, reach - self.size - self.pad)


def parse_axis(
    view: OperatorView, padding: int, sizes: tuple[int, int], stride: int, dilation: int
) -> Axis:
    """The windows along one axis of `sizes` (input, kernel)."""
    size, kernel = sizes
    positive(view, input_size=size, kernel=kernel, stride=stride, dilation=dilation)
    reach = (kernel - 1) * dilation + 1
    if max(stride, reach) > _LARGEST:
        view.fail(f"stride {stride} and reach {reach} of a kernel: supported is up to {_LARGEST}")
    if padding == Padding.SAME:
        out = -(-size // stride)
    elif padding == Padding.VALID:
        out = (size - reach) // stride + 1
    else:
        view.fail(f"padding {padding} is unknown, supported are SAME and VALID")
    if out < 1:
        view.fail(f"a kernel that reaches {reach} pixels does not fit into {size}")
    return Axis(size, out, kernel, stride, dilation, max(0, (out - 1) * stride + reach - size) // 2)


@dataclass(frozen=True)
class Requantization:
    """How accumulators become outputs, one entry a channel.

    Attributes:
        multipliers, shifts: As `quantize_multiplier` gives them.
        lowest, highest: The range of the exact accumulator over all inputs.
        in_zero_point, out_zero_point: Of input and output.
        low, high: The stored range that the fused activation leaves.
        narrow: No weight is -128, as the specification has it.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    lowest: tuple[int, ...]
    highest: tuple[int, ...]
    in_zero_point: int
    out_zero_point: int
    low: int
    high: int
    narrow: bool = True

    @cached_property
    def fixed(self) -> NDArray[np.bool_]:
        """Which channels have the same output whatever the input: dead ones, saturated ones."""
        least, most = self.outputs_between(np.array(self.lowest), np.array(self.highest))
        same: NDArray[np.bool_] = least == most
        return same

    def outputs_between(
        self, lowest: NDArray[np.int64], highest: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(least, most) outputs of exact accumulators from `lowest` to `highest`, all [channels].

        An output rises with its accumulator as long as nothing leaves 32 bits on the way, the zero
        point added, so it is enough to look at both ends.
        """
        limit = ((1 << 31) - 256) >> np.maximum(self.shifts, 0)
        exact = (-limit <= lowest) & (highest < limit)
        least = np.where(exact, self.apply(lowest), self.low).astype(np.int64)
        most = np.where(exact, self.apply(highest), self.high).astype(np.int64)
        return least, most

    @property
    def fast(self) -> bool:
        """Whether `fast_records` can say it: every channel shifts right, or is fixed."""
        return bool(np.all(self.fixed | (np.array(self.shifts) < 0)))

    @property
    def fast_in_pairs(self) -> bool:
        """Whether `pair_records` can: also, two weights fit into 16 bits, and a sum into 24."""
        limit = 1 << 23
        lowest, highest = np.array(self.lowest), np.array(self.highest)
        fits = self.fixed | ((-limit <= lowest) & (highest < limit))
        return self.fast and self.narrow and bool(np.all(fits))

    def without_bounds(self) -> Requantization:
        """The same with nothing known of its accumulators: no channel is fixed."""
        channels = len(self.shifts)
        return replace(self, lowest=(INT32_MIN,) * channels, highest=(INT32_MAX,) * channels)

    def apply(self, accumulators: Array) -> Array:
        """int8 outputs of exact integer sums [..., channels]."""
        wrapped = accumulators.astype(np.int64).astype(np.int32)
        scaled = multiply_by_quantized_multiplier(wrapped, self.multipliers, self.shifts)
        moved = (scaled.astype(np.int64) + self.out_zero_point).astype(np.int32)
        return np.minimum(np.maximum(moved, self.low), self.high).astype(np.int8)

    def records(self, folded: NDArray[np.int64]) -> Constant:
        """int32 [channels, 3] of folded, doubled, right: for kernels that take every shift.

        `doubled` is twice the multiplier, modulo 2^32, and `right` the shift to the right.
        The weights of fixed channels are 0, so `folded` is all that comes: it is then what the
        output is above its zero point, divided by 4 again.
        """
        value = self.apply(np.array(self.lowest)).astype(np.int64) - self.out_zero_point
        doubled = 2 * np.array(self.multipliers, np.int64)
        table = np.stack(
            [
                np.where(self.fixed, 4 * value, folded),
                np.where(self.fixed, -(1 << 31), doubled - (doubled >> 31 << 32)),
                np.where(self.fixed, 1, -np.array(self.shifts)),
            ],
            axis=1,
        )
        return Constant("requant", table.astype(np.int32))

    def pair_records(self, folded: NDArray[np.int64], groups: int) -> Constant:
        """int32 [groups, pairs, 8]: `td_pair_record` of td_dot.h.

        All offsets are the output's zero point. Accumulators of fixed channels are 4 times what
        their outputs are above it, and are divided by 4 again.
        """
        above = self.apply(np.array(self.lowest)).astype(np.int64) - self.out_zero_point
        table = self.fast_records(folded).data.copy()
        table[self.fixed] = [0, -(1 << 31), -(1 << 31), self.out_zero_point]
        table[self.fixed, 0] = 4 * above[self.fixed]
        table = _pair_table(table, groups)
        return Constant("requant", table, align=8)

    def fast_records(self, folded: NDArray[np.int64]) -> Constant:
        """int32 [channels, 4] of folded, multiplier, scale, offset: `td_record` of td_simd.h.

        The weights of fixed channels are 0, and so is `folded`: the output is the offset.
        """
        value = self.apply(np.array(self.lowest)).astype(np.int64)
        right = np.where(self.fixed, 1, -np.array(self.shifts))
        table = np.stack(
            [
                np.where(self.fixed, 0, folded),
                np.where(self.fixed, 0, 2 * np.array(self.multipliers) - (1 << 32)),
                -(np.int64(1) << (32 - right)),
                np.where(self.fixed, value, self.out_zero_point),
            ],
            axis=1,
        )
        return Constant("requant", table.astype(np.int32), align=8)


def in_pairs(table: Array, groups: int) -> Array:
    """[groups, ceil(channels / 2), 2, ...] of [groups * channels, ...], zeros behind an odd one."""
    split = table.reshape(groups, len(table) // groups, *table.shape[1:])
    behind = [(0, 0), (0, split.shape[1] % 2), *[(0, 0)] * (split.ndim - 2)]
    padded = np.pad(split, behind)
    return padded.reshape(groups, -1, 2, *table.shape[1:])


def pair_weights(rows: Array, groups: int, left_out: int = 0) -> Constant:
    """As td_dot.h has them, in bytes, from int8 [channels, a multiple of 4].

    Args:
        left_out: Of each so many words the last is left out; 0: none.
    """
    pairs = in_pairs(rows.astype(np.int16), groups)
    both = pairs[:, :, 0] + 256 * pairs[:, :, 1]
    words = both.reshape(*both.shape[:2], -1, 2, 2).swapaxes(3, 4).reshape(*both.shape[:2], -1, 2)
    if left_out:
        words = words.reshape(*words.shape[:2], -1, left_out, 2)[..., :-1, :]
    return Constant("weights", np.ascontiguousarray(words, dtype="<i2").view(np.int8), align=4)


def parse_requantization(
    view: OperatorView,
    weights: NDArray[np.int64],
    limits: tuple[int, int],
    multipliers: Sequence[tuple[int, int]],
    bias_type_slot: int | None,
) -> Requantization | Requantization16x8:
    """The requantisation of an operator with input 0, output 0 and an optional bias, input 2.

    Args:
        weights: [channels, products], zero point subtracted.
        limits: The range that the fused activation leaves.
        multipliers: (multiplier, shift) of each channel.
        bias_type_slot: The options' field with the type that a missing bias of an int16 layer
            would have; None where there is none.
    """
    if view.input(0).dtype is DType.INT16:
        return parse_16x8(view, weights, limits, multipliers, bias_type_slot)
    zero_point = view.per_tensor(view.input(0))[1]
    bias = view.optional(2, DType.INT32)
    start = np.array([0] * len(weights) if bias is None else integers(bias), dtype=np.int64)
    positive_sum = np.maximum(weights, 0).sum(axis=1)
    negative_sum = np.minimum(weights, 0).sum(axis=1)
    # Inputs run from `least` to `most` above their zero point; `least` is not above 0.
    least, most = -128 - zero_point, 127 - zero_point
    return Requantization(
        multipliers=tuple(m for m, _ in multipliers),
        shifts=tuple(s for _, s in multipliers),
        lowest=tuple((start + positive_sum * least + negative_sum * most).tolist()),
        highest=tuple((start + positive_sum * most + negative_sum * least).tolist()),
        in_zero_point=zero_point,
        out_zero_point=view.per_tensor(view.output(0))[1],
        low=limits[0],
        high=limits[1],
        narrow=bool(weights.min() > -128),
    )


def channel_multipliers(view: OperatorView, channels: int, axis: int) -> list[tuple[int, int]]:
    """(multiplier, shift) of each output channel, from doubles as TFLite computes them."""
    weights = view.input(1)
    q = weights.quantization
    count = len(q.scales) if q else 0
    if q is None or count not in (1, channels):
        view.fail(f"the weights have {count} scales, needed is one or {channels}")
    if count > 1 and q.axis != axis:
        view.fail(f"the weights' scales run along dimension {q.axis}, supported is {axis}")
    if any(q.zero_points):
        view.fail("the weights have a zero point that is not 0, supported is 0")
    in_scale, out_scale = view.per_tensor(view.input(0))[0], view.per_tensor(view.output(0))[0]
    split = [quantize_multiplier(in_scale * scale / out_scale) for scale in q.scales]
    return split * (channels // count)


def check_bias(view: OperatorView, channels: int) -> None:
    int16 = view.input(0).dtype is DType.INT16
    bias = view.optional(2, *((DType.INT64, DType.INT32) if int16 else (DType.INT32,)))
    if bias is None:
        return
    if not bias.is_constant:
        view.fail("input 2, the bias, must be a constant, and is computed at run time")
    if bias.elements != channels:
        view.fail(f"the bias has {bias.elements} elements, needed are {channels}")


def fold(
    requant: Requantization, weights: NDArray[np.int64], bias: Array | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(weights [channels, ...], bias with the input's zero point folded in), as kernels want them.

    Fixed channels have weights of 0. Folded biases wrap as the accumulators do.
    """
    channels = len(weights)
    fixed = requant.fixed.reshape(-1, *[1] * (weights.ndim - 1))
    kept = np.where(fixed, 0, weights)
    given = np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64).reshape(-1)
    folded = given - requant.in_zero_point * kept.reshape(channels, -1).sum(axis=1)
    return kept, folded.astype(np.int32).astype(np.int64)


def _pair_table(records: Array, groups: int) -> Array:
    """int32 [groups, pairs, 8], td_pair_record of td_dot.h, from rows of td_record."""
    pairs = in_pairs(records.astype(np.int64), groups)
    a, b = pairs[:, :, 0], pairs[:, :, 1]
    both = (a[..., :1] + 256 * b[..., :1]).astype(np.int32)
    # As `td_finish_upper` has it: m of 2 m - 2^32, and the scale divided by 2^7.
    upper = [b[..., 1] % (1 << 32) >> 1, b[..., 2] >> 7, b[..., 3]]
    return np.concatenate([both, a, np.stack(upper, axis=2)], axis=2).astype(np.int32)


def ceil_to(value: int, unit: int) -> int:
    return math.ceil(value / unit) * unit
