"""exp, logistic, tanh and 1 / (1 + x) in fixed point, bit for bit as gemmlowp defines them.

A value in Qm.n is an int32 that stands for `value * 2**-n`, with m + n = 31. All functions take
and return NumPy arrays of int64 that hold int32 values.

Source:
    gemmlowp, doc/quantization.md and the algorithms of its fixedpoint library: Taylor's expansion
    around -1/8 on [-1/4, 0) times e**-2**k for each bit of the rest, and Newton-Raphson division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    multiply_by_quantized_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from .base import OperatorView

Values = NDArray[np.int64]

_ONE = INT32_MAX  # 1.0 in Q0.31, as near as it goes
_NEWTON_STEPS = 3


def _constant(real: float, integer_bits: int = 0) -> int:
    return round(real * 2.0 ** (31 - integer_bits))


def _multiply(a: Values, b: Values | int) -> Values:
    return saturating_rounding_doubling_high_mul(a, b).astype(np.int64)


def _divide_by_pot(x: Values, exponent: int) -> Values:
    return rounding_divide_by_pot(x, exponent).astype(np.int64)


def _shift_left(x: Values, exponent: int) -> Values:
    saturated: Values = np.clip(x << exponent, INT32_MIN, INT32_MAX)
    return saturated


def _exp_near_zero(a: Values) -> Values:
    """exp(a) for a in [-1/4, 0), Q0.31 to Q0.31."""
    x = a + (1 << 28)
    x2 = _multiply(x, x)
    x3 = _multiply(x2, x)
    x4_over_4 = _divide_by_pot(_multiply(x2, x2), 2)
    third_and_fourth = _multiply(x4_over_4 + x3, _constant(1 / 3))
    tail = _divide_by_pot(third_and_fourth + x2, 1)
    at_minus_eighth = _constant(math.exp(-1 / 8))
    return at_minus_eighth + _multiply(x + tail, at_minus_eighth)


def exp_on_negative_values(a: Values, integer_bits: int) -> Values:
    """exp(a) for a <= 0.

    Args:
        a: In Q(integer_bits).(31 - integer_bits).
        integer_bits: 4 or 5.

    Returns:
        In Q0.31; exactly 2**31 - 1 for a = 0.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    near_zero = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(near_zero << integer_bits)
    rest = near_zero - a
    for power in range(-2, integer_bits):
        factor = _constant(math.exp(-(2.0**power)))
        has_bit = (rest >> (fraction_bits + power)) & 1
        result = np.where(has_bit, _multiply(result, factor), result)
    return np.where(a == 0, _ONE, result)


def _reciprocal_of_half_denominator(a: Values) -> Values:
    """2 / (1 + a) for a in [0, 1): Q0.31 to Q2.29."""
    half = (a + _ONE + 1) >> 1
    x = _constant(48 / 17, 2) + _multiply(half, _constant(-32 / 17, 2))
    for _ in range(_NEWTON_STEPS):
        error = (1 << 29) - _multiply(half, x)
        x = x + _shift_left(_multiply(x, error), 2)
    return x


def one_over_one_plus_x(a: Values) -> Values:
    """1 / (1 + a) for a in [0, 1), Q0.31 to Q0.31."""
    return _shift_left(_reciprocal_of_half_denominator(a), 1)


def _one_minus_x_over_one_plus_x(a: Values) -> Values:
    return _shift_left(_reciprocal_of_half_denominator(a) - (1 << 29), 2)


def logistic(a: Values, integer_bits: int) -> Values:
    """1 / (1 + exp(-a)), Q(integer_bits).(31 - integer_bits) to Q0.31."""
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, _ONE - positive))


def tanh(a: Values, integer_bits: int) -> Values:
    """tanh(a), Q(integer_bits).(31 - integer_bits) to Q0.31."""
    # Read with one more integer bit, the same number is twice the value: exp(-2|a|).
    magnitude = _one_minus_x_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits + 1))
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


@dataclass(frozen=True)
class InputScaling:
    """How LOGISTIC and TANH bring an int8 input to Q4.27, and where they saturate instead.

    Attributes:
        multiplier, shift: The input's scale times 2**27, as `quantize_multiplier` gives it.
        radius: Inputs whose distance from the zero point is at least this saturate.
    """

    INTEGER_BITS: ClassVar[int] = 4

    multiplier: int
    shift: int
    radius: int

    @classmethod
    def of(cls, view: OperatorView, scale: float) -> InputScaling:
        mantissa, shift = math.frexp(scale * 2.0 ** (31 - cls.INTEGER_BITS))
        if shift < 0:
            view.fail(f"the input's scale {scale:g} is below 2**-28")
        largest = (2**cls.INTEGER_BITS - 1) << (31 - cls.INTEGER_BITS)
        # A float32's mantissa has 24 bits: the product is an integer below 2**31.
        return cls(int(mantissa * 2**31), shift, largest >> shift)

    def apply(self, difference: Values) -> tuple[Values, NDArray[np.bool_]]:
        """(values in Q4.27, whether they are inside the radius); 0 where they are not."""
        inside = np.abs(difference) < self.radius
        kept = np.where(inside, difference, 0)
        # Shifts above 30 leave a radius of 0 and nothing to multiply.
        scaled = multiply_by_quantized_multiplier(kept, self.multiplier, min(self.shift, 30))
        return scaled.astype(np.int64), inside

    def saturated(self, difference: Values) -> Values:
        """The stored output outside the radius."""
        return np.where(difference <= -self.radius, -128, 127)
