"""Int16 activations with int8 weights: how accumulators become outputs.

With an int64 bias TFLite accumulates in 64 bits and rounds once; with an int32 bias it accumulates
in 32 bits, modulo 2**32, and rounds twice, as in 8-bit layers.

Source:
    https://ai.google.dev/edge/litert/models/quantization_spec
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    multiply_by_quantized_multiplier,
    multiply_wide_by_quantized_multiplier,
    narrow_multiplier,
)
from ..graph import Array, DType
from ..plan.plan import Constant
from ..tflite.schema import TensorType
from .base import OperatorView
from .checks import integers, symmetric

# What TFLite's 64-bit rescaling takes.
_LARGEST_SHIFT = 7
_LARGEST_SUM = 1 << 47


@dataclass(frozen=True)
class Requantization16x8:
    """How accumulators become int16 outputs, one entry a channel; zero points are 0.

    Attributes:
        multipliers, shifts: As `quantize_multiplier` gives them.
        wide: Accumulators have 64 bits, else 32.
        lowest, highest: The range of the exact accumulator over all inputs.
        low, high: The stored range that the fused activation leaves.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    wide: bool
    lowest: tuple[int, ...]
    highest: tuple[int, ...]
    low: int
    high: int

    in_zero_point: ClassVar[int] = 0
    fast: ClassVar[bool] = False
    fast_in_pairs: ClassVar[bool] = False

    def apply(self, accumulators: Array) -> Array:
        """int16 outputs of exact integer sums [..., channels]."""
        sums = accumulators.astype(np.int64)
        if self.wide:
            scaled = multiply_wide_by_quantized_multiplier(sums, self.multipliers, self.shifts)
        else:
            wrapped = sums.astype(np.int32)
            scaled = multiply_by_quantized_multiplier(wrapped, self.multipliers, self.shifts)
        return np.clip(scaled, self.low, self.high).astype(np.int16)

    def outputs_between(
        self, lowest: NDArray[np.int64], highest: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(least, most) outputs of exact accumulators from `lowest` to `highest`, all [channels].

        An output rises with its accumulator as long as nothing wraps on the way.
        """
        largest = np.maximum(-lowest, highest)
        if self.wide:
            mantissa, right = narrow_multiplier(self.multipliers, self.shifts)
            exact = (largest * mantissa) >> right < INT32_MAX
        else:
            exact = largest <= INT32_MAX >> np.maximum(self.shifts, 0)
        least = np.where(exact, self.apply(lowest), self.low).astype(np.int64)
        most = np.where(exact, self.apply(highest), self.high).astype(np.int64)
        return least, most

    @cached_property
    def is_narrow(self) -> bool:
        """Whether sums of 32 bits do, and `records` can say what comes of them."""
        if not self.wide:
            return True
        fits = (np.array(self.lowest) >= INT32_MIN) & (np.array(self.highest) <= INT32_MAX)
        _, right = narrow_multiplier(self.multipliers, self.shifts)
        return bool(np.all(fits & ((right >= 15) & (right <= 31)) | self._fixed))

    @cached_property
    def _fixed(self) -> NDArray[np.bool_]:
        """Which channels have no weights, or give 0 whatever the input; outputs rise with sums."""
        lowest, highest = self.apply(np.array(self.lowest)), self.apply(np.array(self.highest))
        no_weights = np.array(self.lowest) == np.array(self.highest)
        fixed: NDArray[np.bool_] = (lowest == highest) & ((lowest == 0) | no_weights)
        return fixed

    def records(self, bias: Array | None) -> Constant:
        """int32 [channels, 3]: `td_record_16x8` of td_16x8.h, where `is_narrow`."""
        start = self._start(bias)
        multipliers, shifts = np.array(self.multipliers), np.array(self.shifts)
        if self.wide:
            mantissas, right = narrow_multiplier(multipliers, shifts)
            # A fixed channel's value comes from its bias alone: times 1, or 0 times anything.
            value = self.apply(np.array(self.lowest)).astype(np.int64)
            start = np.where(self._fixed, value, start)
            one = np.where(value == 0, 0, 1 << 30)
            multipliers = np.where(self._fixed, one, mantissas << np.clip(31 - right, 0, 16))
            shifts = np.where(self._fixed, 1, 0)
        table = np.column_stack([start, multipliers, shifts])
        return Constant("requant", table.astype(np.int32))

    def wide_records(self, bias: Array | None) -> Constant:
        """int32 [channels, 4]: `td_wide_record_16x8` of td_16x8.h, where `wide`."""
        # int64 as two words, the lower one first.
        words = self._start(bias).astype("<i8").view("<i4").reshape(-1, 2)
        table = np.column_stack([words, *narrow_multiplier(self.multipliers, self.shifts)])
        return Constant("requant", table.astype(np.int32))

    def _start(self, bias: Array | None) -> NDArray[np.int64]:
        if bias is None:
            return np.zeros(len(self.shifts), np.int64)
        return bias.astype(np.int64).reshape(-1)


def parse_16x8(
    view: OperatorView,
    weights: NDArray[np.int64],
    limits: tuple[int, int],
    multipliers: Sequence[tuple[int, int]],
    bias_type_slot: int | None,
) -> Requantization16x8:
    """Args:
    weights: [channels, weights of a channel].
    limits: The stored range that the fused activation leaves.
    bias_type_slot: The options' field with the type that a missing bias would have; None where
        there is none, and accumulators always have 64 bits.
    """
    symmetric(view, view.input(0), view.output(0))
    bias = view.optional(2)
    start = [0] * len(weights) if bias is None else integers(bias)
    positive_sum = np.maximum(weights, 0).sum(axis=1).tolist()
    negative_sum = np.minimum(weights, 0).sum(axis=1).tolist()
    sums = list(zip(start, positive_sum, negative_sum, strict=True))
    requant = Requantization16x8(
        multipliers=tuple(m for m, _ in multipliers),
        shifts=tuple(s for _, s in multipliers),
        wide=_is_wide(view, bias_type_slot),
        lowest=tuple(s + p * -(1 << 15) + n * (2**15 - 1) for s, p, n in sums),
        highest=tuple(s + p * (2**15 - 1) + n * -(1 << 15) for s, p, n in sums),
        low=limits[0],
        high=limits[1],
    )
    if requant.wide:
        _check_wide(view, requant)
    return requant


def _is_wide(view: OperatorView, bias_type_slot: int | None) -> bool:
    bias = view.optional(2, DType.INT64, DType.INT32)
    if bias_type_slot is None:
        view.optional(2, DType.INT64)
        return True
    if bias is None:
        return view.options.int8(bias_type_slot) != TensorType.INT32
    return bias.dtype is DType.INT64


def _check_wide(view: OperatorView, requant: Requantization16x8) -> None:
    largest_shift = max(requant.shifts)
    if largest_shift > _LARGEST_SHIFT:
        view.fail(
            f"the scales ask for a multiplier of 2**{largest_shift - 1} or more, supported with "
            f"64-bit accumulators are those below 2**{_LARGEST_SHIFT}"
        )
    largest = max(-min(requant.lowest), max(requant.highest))
    if largest >= _LARGEST_SUM:
        view.fail(f"sums reach {largest}, supported are those below 2**47")
