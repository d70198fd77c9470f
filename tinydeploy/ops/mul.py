"""MUL: the product of two operands, rescaled once.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflmul_tflmulop
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from ..tflite.schema import MulOptions
from . import binary
from .base import OperatorView
from .binary import INT8_VALUES, Operands
from .checks import fused_limits

NAME = "MUL"
KERNELS = (
    Kernel(
        "td_s8_mul_affine__mve",
        Isa.MVE,
        lambda p: p.operands.along and p.affine is not None,
    ),
    Kernel(
        "td_s8_mul_affine__dsp",
        Isa.DSP,
        lambda p: p.operands.along and p.affine is not None,
    ),
    Kernel("td_s8_mul__scalar", Isa.SCALAR, lambda p: p.operands.dtype is DType.INT8),
    Kernel("td_s16_mul__scalar", Isa.SCALAR, lambda p: p.operands.dtype is DType.INT16),
)


@dataclass(frozen=True)
class Affine:
    """out = clamp((((product << 15) * multiplier) >> 32) + offset) >> shift)."""

    multiplier: int
    offset: int
    shift: int


@dataclass(frozen=True, eq=False)
class Params:
    """Mirrors `td_mul`.

    Attributes:
        operands: Where they come from.
        zero0, zero1: Their zero points, in the order of `operands`.
        multiplier, shift: From the product to the output.
        zero_point: The output's.
        low, high: The stored range that the fused activation leaves.
        ratio: The product of the operands' scales over the output's.
    """

    operands: Operands
    zero0: int
    zero1: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    ratio: float

    def combine(self, a: Array, b: Array) -> Array:
        """The output for arrays `a` and `b` that broadcast, as int64."""
        product = (a.astype(np.int64) - self.zero0) * (b.astype(np.int64) - self.zero1)
        out = multiply_by_quantized_multiplier(product, self.multiplier, self.shift)
        # The kernel's addition wraps at 32 bits.
        shifted = (out.astype(np.int64) + self.zero_point).astype(np.int32).astype(np.int64)
        return np.minimum(np.maximum(shifted, self.low), self.high)

    @cached_property
    def affine(self) -> Affine | None:
        """A cheaper formula with the same output for all 65536 pairs of operands, or None."""
        if self.operands.dtype is not DType.INT8:
            return None
        a, b = INT8_VALUES[:, None], INT8_VALUES[None, :]
        wanted = self.combine(a, b)
        product = (a - self.zero0) * (b - self.zero1)
        for shift in range(24, 15, -1):
            multiplier = round(self.ratio * 2.0 ** (shift + 17))
            if multiplier >= 2**31:
                continue
            scaled = (product * multiplier) >> 17
            offset = binary.constant_offset(scaled, wanted, self.low, self.high, shift)
            if offset is not None and abs(offset) + abs(scaled).max() < 2**31:
                return Affine(multiplier, offset, shift)
        return None


def parse(view: OperatorView) -> Params:
    operands = binary.parse_operands(view)
    scale0, zero0 = view.per_tensor(view.input(0))
    scale1, zero1 = view.per_tensor(view.input(1))
    out_scale, zero_point = view.per_tensor(view.output(0))
    ratio = scale0 * scale1 / out_scale
    multiplier, shift = quantize_multiplier(ratio)
    low, high = fused_limits(view, MulOptions.FUSED_ACTIVATION, view.output(0))
    if operands.swapped:
        zero0, zero1 = zero1, zero0
    return Params(operands, zero0, zero1, multiplier, shift, zero_point, low, high, ratio)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    a, b = inputs[::-1] if params.operands.swapped else inputs
    assert a is not None
    assert b is not None
    return (params.combine(a, b).astype(a.dtype),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    p: Params = node.params
    fields = {"zero0": p.zero0, "zero1": p.zero1}
    if "affine" in kernel.name:
        assert p.affine is not None
        fields |= vars(p.affine)
        struct = "td_mul_affine"
    else:
        fields |= {"multiplier": p.multiplier, "shift": p.shift, "zero_point": p.zero_point}
        struct = "td_mul"
    fields |= {"low": p.low, "high": p.high}
    return binary.lower(node, p.operands, kernel, struct, fields)
