"""Int16 activations with int8 weights: how accumulators become outputs.

With an int64 bias TFLite accumulates in 64 bits and rounds once; with an int32 bias it accumulates
in 32 bits, modulo 2**32, and rounds twice, as in 8-bit layers.

Source:
    https://ai.google.dev/edge/litert/models/quantization_spec
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import (
    multiply_by_quantized_multiplier,
    multiply_wide_by_quantized_multiplier,
    narrow_multiplier,
)
from ..graph import Array, DType
from ..plan.plan import Constant
from ..tflite.schema import TensorType
from .base import OperatorView
from .checks import symmetric

# What TFLite's 64-bit rescaling takes.
_LARGEST_SHIFT = 7
_LARGEST_SUM = 1 << 47


@dataclass(frozen=True)
class Requantization16x8:
    """How accumulators become int16 outputs, one entry a channel; zero points are 0.

    Attributes:
        multipliers, shifts: As `quantize_multiplier` gives them.
        wide: Accumulators have 64 bits, else 32.
        low, high: The stored range that the fused activation leaves.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    wide: bool
    low: int
    high: int

    in_zero_point: ClassVar[int] = 0
    fast: ClassVar[bool] = False

    def apply(self, accumulators: Array) -> Array:
        """int16 outputs of exact integer sums [..., channels]."""
        sums = accumulators.astype(np.int64)
        if self.wide:
            scaled = multiply_wide_by_quantized_multiplier(sums, self.multipliers, self.shifts)
        else:
            wrapped = sums.astype(np.int32)
            scaled = multiply_by_quantized_multiplier(wrapped, self.multipliers, self.shifts)
        return np.clip(scaled, self.low, self.high).astype(np.int16)

    def records(self, bias: Array | None) -> Constant:
        """int32 [channels, 4]: `td_record_16x8` of td_16x8.h."""
        channels = len(self.shifts)
        start = np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64).reshape(-1)
        multipliers, shifts = np.array(self.multipliers), np.array(self.shifts)
        if self.wide:
            multipliers, shifts = narrow_multiplier(multipliers, shifts)
        # int64 as two words, the lower one first.
        words = start.astype("<i8").view("<i4").reshape(channels, 2)
        return Constant("requant", np.column_stack([words, multipliers, shifts]).astype(np.int32))


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
    wide = _is_wide(view, bias_type_slot)
    if wide:
        _check_wide(view, weights, [shift for _, shift in multipliers])
    values, shifts = zip(*multipliers, strict=True)
    return Requantization16x8(values, shifts, wide, *limits)


def _is_wide(view: OperatorView, bias_type_slot: int | None) -> bool:
    bias = view.optional(2, DType.INT64, DType.INT32)
    if bias_type_slot is None:
        view.optional(2, DType.INT64)
        return True
    if bias is None:
        return view.options.int8(bias_type_slot) != TensorType.INT32
    return bias.dtype is DType.INT64


def _check_wide(view: OperatorView, weights: NDArray[np.int64], shifts: list[int]) -> None:
    if max(shifts) > _LARGEST_SHIFT:
        view.fail(
            f"the scales ask for a multiplier of 2**{max(shifts) - 1} or more, supported with "
            f"64-bit accumulators are those below 2**{_LARGEST_SHIFT}"
        )
    bias = view.optional(2)
    start = 0 if bias is None or bias.data is None else int(np.abs(bias.data.astype(float)).max())
    largest = start + int(np.abs(weights).sum(axis=1).max()) * (1 << 15)
    if largest >= _LARGEST_SUM:
        view.fail(f"sums reach {largest}, supported are those below 2**47")
