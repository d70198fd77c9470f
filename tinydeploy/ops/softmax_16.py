"""SOFTMAX from int16 to int16: exponentials and one reciprocal a row, both from tables.

Source:
    TensorFlow Lite's 16-bit lookup tables: 512 straight pieces over all int16, sampled in single
    precision and shifted by half of what the line misses in a piece's middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall
from . import byte_map
from .base import OperatorView
from .checks import expect_shape, symmetric

_PIECES = 512
_EXP_RANGE = 10  # exp(-10) counts as the least
_LARGEST_DEPTH = 65535

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Params:
    """Mirrors td_softmax_s16.

    Attributes:
        rows: How many rows there are.
        depth: Elements of a row.
        multiplier, shift: From the input to steps of 10 / 65535.
    """

    rows: int
    depth: int
    multiplier: int
    shift: int

    def apply(self, x: Array) -> Array:
        rows = x.reshape(-1, self.depth).astype(np.int64)
        distance = rows - rows.max(axis=1, keepdims=True)
        steps = multiply_by_quantized_multiplier(distance, self.multiplier, self.shift)
        exps = _at(exp_table(), steps.astype(np.int64) + 32767)
        sums = exps.sum(axis=1, keepdims=True)
        # sums = 2**(bits - 1) * (1 + rest), 0 <= rest < 1
        bits = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
        mantissa = ((sums << (31 - bits)) + (1 << 13)) >> 14
        inverse = _at(inverse_table(), mantissa - (1 << 16) - (1 << 15))
        shift = bits - 1
        stored = (exps * inverse + (np.int64(1) << (shift - 1))) >> shift
        result: Array = np.clip(stored, 0, 32767).astype(np.int16).reshape(x.shape)
        return result

    def call(self, node: Node, kernel: Kernel) -> KernelCall:
        fields: dict[str, FieldValue] = {
            "exps": Constant("exps", exp_table()),
            "inverses": Constant("inverses", inverse_table()),
            "rows": self.rows,
            "depth": self.depth,
            "multiplier": self.multiplier,
            "shift": self.shift,
        }
        return byte_map.call(node, kernel, "td_softmax_s16", "td_softmax.h", fields)


KERNEL = Kernel("td_s16_softmax__scalar", Isa.SCALAR, lambda p: isinstance(p, Params))


def parse(view: OperatorView, beta: float) -> Params:
    source, result = view.input(0, DType.INT16), view.output(0, DType.INT16)
    symmetric(view, source, result)
    scale, out_scale = view.per_tensor(source)[0], view.per_tensor(result)[0]
    if abs(out_scale * 2**15 - 1) > 1e-3:
        view.fail(f"the output's scale is {out_scale:g}, must be 2**-15")
    expect_shape(view, result, source.shape)
    if not source.shape or not 0 < source.shape[-1] <= _LARGEST_DEPTH:
        view.fail(f"shape {list(source.shape)}: rows may have 1 to {_LARGEST_DEPTH} elements")
    multiplier, shift = quantize_multiplier(scale * beta / (_EXP_RANGE / 65535))
    depth = source.shape[-1]
    return Params(source.elements // depth, depth, multiplier, shift)


def exp_table() -> NDArray[np.int16]:
    """int16 [513]: exp from -10 to 0 in Q0.15."""
    return _table(_EXP_RANGE, 32767, lambda x: np.array([math.exp(v) for v in x], np.float32))


def inverse_table() -> NDArray[np.int16]:
    """int16 [513]: 1 / (1 + x) from 0 to 1 in Q0.15."""
    return _table(1, -32768, lambda x: np.float32(1) / (np.float32(1) + x))


def _table(width: int, zero_point: int, curve: Callable[[Floats], Floats]) -> NDArray[np.int16]:
    """A curve's table in single precision, operation by operation.

    Args:
        width: Of the inputs' range.
        zero_point: The int16 that stands for an input of 0.
    """
    unit = np.float32(width) / np.float32(65535)
    first, last = (unit * np.float32(end - zero_point) for end in (-32768, 32767))
    step = (last - first) / np.float32(_PIECES)
    out_unit = np.float32(2) / np.float32(65535)
    scale = np.float32(65536) / (out_unit * np.float32(32767) - out_unit * np.float32(-32768))
    i = np.arange(_PIECES, dtype=np.float32)
    starts, ends = first + i * step, first + (i + np.float32(1)) * step
    values = _round(curve(starts) * scale)
    line = _round((curve(ends) * scale + values) / np.float32(2))
    missed = line - _round(curve(starts + step / np.float32(2)) * scale)
    samples = values - _round(missed / np.float32(2))
    end = _round(curve(np.array([last], np.float32)) * scale)
    table: NDArray[np.int16] = np.concatenate([samples, end]).clip(-32768, 32767).astype(np.int16)
    return table


def _round(x: Floats) -> Floats:
    """Halves away from zero."""
    rounded = np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x)
    return rounded.astype(np.float32)


def _at(table: NDArray[np.int16], x: Array) -> Array:
    """The curve at integers, those beyond int16 as its ends."""
    inside = np.clip(x, -32768, 32767)
    i, rest = 256 + (inside >> 7), inside & 0x7F
    wide = table.astype(np.int64)
    between: Array = wide[i] + (((wide[i + 1] - wide[i]) * rest + 64) >> 7)
    return between
