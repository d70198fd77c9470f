"""The only requantisation arithmetic in Python; its C twin is kernels/td_fixedpoint.h.

TFLite's 8-bit specification with TFLite Micro's (double) rounding, on NumPy arrays.

Source:
    https://ai.google.dev/edge/litert/models/quantization_spec, and gemmlowp's
    doc/quantization.md for the doubling high multiplication and the rounding shift.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]


class Activation(IntEnum):
    """A fused activation, by its number in TFLite's schema."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


def round_half_away(value: float) -> int:
    """C's `round()`: to the nearest integer, halves away from zero."""
    magnitude = math.floor(abs(value) + 0.5) if abs(value) < 2**52 else int(abs(value))
    # abs(value) + 0.5 may itself round up when the fraction is just below one half.
    if magnitude - abs(value) > 0.5:
        magnitude -= 1
    return int(math.copysign(magnitude, value))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Splits a non-negative real multiplier into a Q0.31 mantissa and a shift.

    Args:
        real: The multiplier, a finite double >= 0.

    Returns:
        (multiplier, shift) with real ~ multiplier * 2**(shift - 31); the multiplier is 0 or in
        [2**30, 2**31), the shift in [-31, 30] (positive shifts left).

    Raises:
        InputError: The multiplier is too large to be shifted into 32 bits, or not finite.
    """
    if not math.isfinite(real) or real < 0:
        raise InputError(f"the scales ask for a multiplier of {real}")
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    multiplier = round_half_away(mantissa * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        raise InputError(
            f"the scales ask for a multiplier of {real:g}, above 2**30",
            "the model's quantisation is damaged: convert it again",
        )
    return multiplier, shift


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike) -> Int32Array:
    """round(a * b / 2**31) saturated to int32; halves away from zero for negative products.

    Args:
        a, b: int32 values, any shapes that broadcast.
    """
    x = np.asarray(a, dtype=np.int64)
    y = np.asarray(b, dtype=np.int64)
    product = x * y
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    # Division by 2**31 that truncates towards zero, as C's does.
    quotient = np.where(total >= 0, total >> 31, -((-total) >> 31))
    return np.minimum(quotient, INT32_MAX).astype(np.int32)


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Int32Array:
    """x / 2**exponent, rounded to nearest, halves away from zero.

    Args:
        x: int32 values.
        exponent: In [0, 31]; broadcasts against `x`.
    """
    value = np.asarray(x, dtype=np.int64)
    power = np.asarray(exponent, dtype=np.int64)
    mask = (np.int64(1) << power) - 1
    remainder = value & mask
    threshold = (mask >> 1) + (value < 0)
    return ((value >> power) + (remainder > threshold)).astype(np.int32)


def multiply_by_quantized_multiplier(
    x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike
) -> Int32Array:
    """x * multiplier * 2**(shift - 31) with TFLite's two roundings.

    Args:
        x: int32 accumulators.
        multiplier: Q0.31 mantissas in [0, 2**31), broadcasting against `x`.
        shift: In [-31, 30]; positive shifts left before the multiplication (wrapping at 32 bits).
    """
    s = np.asarray(shift, dtype=np.int64)
    left = np.maximum(s, 0)
    right = np.maximum(-s, 0)
    shifted = (np.asarray(x, dtype=np.int64) << left).astype(np.int32)
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)


def multiply_wide_by_quantized_multiplier(
    x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike
) -> Int32Array:
    """x * multiplier * 2**(shift - 31) of 64-bit accumulators, as int16 layers have them.

    The mantissa is rounded to 16 bits first, the product once; it wraps at 32 bits.

    Args:
        x: int64 accumulators in [-2**47, 2**47).
        multiplier: Q0.31 mantissas in [0, 2**31), broadcasting against `x`.
        shift: In [-31, 7].
    """
    mantissa, total = narrow_multiplier(multiplier, shift)
    half = np.int64(1) << (total - 1)
    return ((np.asarray(x, dtype=np.int64) * mantissa + half) >> total).astype(np.int32)


def narrow_multiplier(multiplier: ArrayLike, shift: ArrayLike) -> tuple[Int64Array, Int64Array]:
    """(16-bit mantissa, bits to shift right) of what `quantize_multiplier` gave."""
    mantissa = (np.asarray(multiplier, dtype=np.int64) + (1 << 15)) >> 16
    return np.minimum(mantissa, 0x7FFF), 15 - np.asarray(shift, dtype=np.int64)


def activation_range(
    activation: Activation, scale: float, zero_point: int, lowest: int = -128, highest: int = 127
) -> tuple[int, int]:
    """The stored range that a fused activation leaves of an output's [lowest, highest].

    Args:
        activation: NONE, RELU, RELU_N1_TO_1 or RELU6.
        scale: The output's scale (float32).
        zero_point: The output's zero point.
    """

    def quantize(real: float) -> int:
        with np.errstate(over="ignore"):
            quotient = float(np.float32(real) / np.float32(scale))
        if quotient > INT32_MAX or quotient < INT32_MIN:
            raise InputError(
                f"an activation bound of {real:g} exceeds 32 bits at the output's scale {scale:g}",
                "the model's quantisation is damaged: convert it again",
            )
        return zero_point + round_half_away(quotient)

    low, high = lowest, highest
    if activation is Activation.RELU:
        low = max(lowest, quantize(0.0))
    elif activation is Activation.RELU6:
        low, high = max(lowest, quantize(0.0)), min(highest, quantize(6.0))
    elif activation is Activation.RELU_N1_TO_1:
        low, high = max(lowest, quantize(-1.0)), min(highest, quantize(1.0))
    return low, high
