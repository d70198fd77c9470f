"""SOFTMAX over the last dimension, int8 to int8 with a scale of 1/256 and a zero point of -128,
or int16 to int16 (softmax_16.py).

The kernel only ever needs exp of the distance to the row's maximum, a whole number of steps from
0 to 255: the exponentials are a table that is made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from ..graph import Array, DType, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall
from ..tflite.schema import SoftmaxOptions
from . import byte_map, fixedpoint_functions, softmax_16
from .base import OperatorView

NAME = "SOFTMAX"
KERNELS = (
    Kernel("td_s8_softmax__mve", Isa.MVE, lambda p: isinstance(p, Params)),
    Kernel("td_s8_softmax__scalar", Isa.SCALAR, lambda p: isinstance(p, Params)),
    softmax_16.KERNEL,
)
reference = byte_map.reference
lower = byte_map.lower

_INPUT_BITS = 5  # exp's argument is Q5.26
_SUM_BITS = 12  # the sum of a row is Q12.19 in an unsigned word
_SUM_FRACTION_BITS = 31 - _SUM_BITS
# The largest depth whose sum fits, were every element the maximum.
LARGEST_DEPTH = (1 << (_SUM_BITS + 1)) - 1


@dataclass(frozen=True, eq=False)
class Params:
    """Mirrors td_softmax.

    Attributes:
        exps: int32 [n], Q0.31: exp(-i * beta * scale) for a distance i from the maximum. Farther
            elements add nothing to the sum and come out as 0.
        rows: How many rows there are.
        depth: Elements of a row.
    """

    exps: Array
    rows: int
    depth: int

    def apply(self, x: Array) -> Array:
        """Where a row's sum is 512 or more, TensorFlow Lite Micro aborts; here the same formula
        goes on, and gives 0 for every element."""
        rows = x.reshape(-1, self.depth).astype(np.int64)
        distance = rows.max(axis=1, keepdims=True) - rows
        exps = np.zeros(256, np.int64)
        exps[: self.exps.size] = self.exps
        terms = exps[distance]
        sums = rounding_divide_by_pot(terms, _SUM_BITS).astype(np.int64).sum(axis=1, keepdims=True)
        # sums = 2**(bits - 1) * (1 + rest), 0 <= rest < 1
        bits = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
        rest = (sums << (32 - bits)) - (1 << 31)
        reciprocal = fixedpoint_functions.one_over_one_plus_x(rest)
        shares = saturating_rounding_doubling_high_mul(reciprocal, terms)
        # 2**8 of Q0.31, and the power of two that the reciprocal leaves out.
        shift = 31 - 8 + bits - (_SUM_FRACTION_BITS + 1)
        whole = rounding_divide_by_pot(shares, np.minimum(shift, 31))
        stored = np.where(shift > 31, 0, whole) - 128
        result: Array = np.clip(stored, -128, 127).astype(np.int8).reshape(x.shape)
        return result

    def call(self, node: Node, kernel: Kernel) -> KernelCall:
        fields: dict[str, FieldValue] = {
            "exps": Constant("exps", self.exps),
            "exp_count": self.exps.size,
            "rows": self.rows,
            "depth": self.depth,
        }
        return byte_map.call(node, kernel, "td_softmax", "td_softmax.h", fields)


def parse(view: OperatorView) -> Params | softmax_16.Params:
    beta = view.options.float32(SoftmaxOptions.BETA)
    source = view.input(0, DType.INT8, DType.INT16)
    if source.dtype is DType.INT16:
        return softmax_16.parse(view, beta)
    result = view.output(0, DType.INT8)
    scale, _ = view.per_tensor(source)
    out_scale, out_zero = view.per_tensor(result)
    if (out_scale, out_zero) != (1 / 256, -128):
        view.fail(f"the output is scaled by {out_scale:g} from {out_zero}, must be 1/256 from -128")
    if not source.shape or source.shape != result.shape:
        view.fail(f"input has shape {list(source.shape)}, output has {list(result.shape)}")
    depth = source.shape[-1]
    if not 0 < depth <= LARGEST_DEPTH:
        view.fail(f"rows have {depth} elements, supported are 1 to {LARGEST_DEPTH}")
    exps = _exponentials(view, beta * scale)
    return Params(exps, source.elements // depth, depth)


def _exponentials(view: OperatorView, step: float) -> Array:
    """int32 [1 to 256]: exp(-i * step) in Q0.31, up to the last one that matters."""
    real = step * 2 ** (31 - _INPUT_BITS)
    if not real > 1:
        view.fail(f"beta times the input's scale is {step:g}, must be above 2**-26")
    # From 2**30 on, a step of 16, the maximum alone counts.
    multiplier, shift = quantize_multiplier(min(real, 2.0**30 - 1))
    farthest = (2**_INPUT_BITS - 1 << (31 - _INPUT_BITS)) >> shift
    distance = np.arange(min(farthest, 255) + 1)
    scaled = multiply_by_quantized_multiplier(-distance, multiplier, shift)
    exps = fixedpoint_functions.exp_on_negative_values(scaled.astype(np.int64), _INPUT_BITS)
    # Below half a unit of the sum's last place nothing is added to it, and nothing comes out.
    counts = np.flatnonzero(exps >= 1 << (_SUM_BITS - 1))
    return exps[: counts[-1] + 1].astype(np.int32)
