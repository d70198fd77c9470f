"""HARD_SWISH: x * min(max(x + 3, 0), 6) / 6, in 16-bit fixed point."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..fixedpoint import quantize_multiplier
from ..graph import Array, DType
from . import byte_map
from .base import OperatorView

NAME = "HARD_SWISH"
KERNELS = byte_map.LUTS
reference = byte_map.reference
lower = byte_map.lower

_INT16_MAX = 2**15 - 1
_INT16_MIN = -(2**15)


def parse(view: OperatorView) -> byte_map.ByteMap:
    in_scale, in_zero = view.per_tensor(view.input(0, DType.INT8))
    out_scale, out_zero = view.per_tensor(view.output(0, DType.INT8))
    # The input is read with 7 more fraction bits, its 1.0 / 128 stands for one stored step.
    fine_scale = in_scale / 128
    try:
        to_output, output_shift = _multiplier16(fine_scale / out_scale)
        to_gate, gate_shift = _multiplier16(fine_scale / (3 / 32768))
    except InputError as error:
        view.fail(error.message)
    if output_shift > 0:
        view.fail(f"the input's scale {in_scale:g} is over 128 times the output's {out_scale:g}")

    def hard_swish(x: Array) -> Array:
        fine = _wrap16((x - in_zero) << 7)
        gate = fine if gate_shift <= 0 else _saturate16(fine << (gate_shift - 1))
        gate = _multiply(gate, to_gate)
        if gate_shift > 0:
            gate = _saturate16(gate << 1)
        elif gate_shift < 0:
            gate = _divide_by_pot(gate, -gate_shift)
        gate = (gate + 2**15) >> 1  # from [-1, 1] to [0, 1]
        product = gate * _multiply(fine, to_output)
        truncated = np.sign(product) * (np.abs(product) >> 15)
        stored: Array = _divide_by_pot(truncated, -output_shift) + out_zero
        return stored.clip(-128, 127)

    return byte_map.tabulate(view, hard_swish)


def _multiplier16(real: float) -> tuple[int, int]:
    """(Q0.15 mantissa, shift) of a real multiplier."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX), shift


def _saturate16(x: Array) -> Array:
    return np.clip(x, _INT16_MIN, _INT16_MAX)


def _wrap16(x: Array) -> Array:
    return x.astype(np.int16).astype(np.int64)


def _multiply(a: Array, b: int) -> Array:
    """round(a * b / 2**15), halves up; `b` is never -2**15, so that it cannot overflow."""
    return (a * b + (1 << 14)) >> 15


def _divide_by_pot(x: Array, exponent: int) -> Array:
    """x / 2**exponent in 16 bits, rounded, halves away from zero.

    The mask of exponents above 15 does not fit 16 bits, and the result is then 1 or -1: that is
    what the reference kernel answers where an input's range is 500 times finer than the output's.
    """
    mask = int(np.int64((1 << exponent) - 1).astype(np.int16))
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)
