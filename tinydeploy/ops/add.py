"""ADD, and SUB, which is ADD with a sign: both operands brought to one scale, summed, rescaled.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tfladd_tfladdop
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from ..tflite.schema import AddOptions
from . import binary
from .base import OperatorView
from .binary import INT8_VALUES, Operands, PairTable
from .checks import fused_limits

NAME = "ADD"
KERNELS = (
    Kernel(
        "td_s8_add_affine__mve",
        Isa.MVE,
        lambda p: p.operands.along and p.affine_32 is not None,
    ),
    Kernel(
        "td_s8_add_affine__dsp",
        Isa.DSP,
        lambda p: p.operands.along and p.affine is not None,
    ),
    Kernel("td_s8_add_affine__scalar", Isa.SCALAR, lambda p: p.affine is not None),
    Kernel("td_s8_add__scalar", Isa.SCALAR, lambda p: p.operands.dtype is DType.INT8),
    Kernel("td_s16_add__scalar", Isa.SCALAR, lambda p: p.operands.dtype is DType.INT16),
)

# With how many fractional bits operands are summed.
LEFT_SHIFT = {DType.INT8: 20, DType.INT16: 15}


@dataclass(frozen=True)
class Operand:
    """An operand's way to the common scale. Mirrors `td_add_operand`.

    Attributes:
        zero_point: Its own.
        multiplier, shift: Its scale over twice the larger one: at most one half.
        sign: 1, or -1 where it is subtracted.
    """

    zero_point: int
    multiplier: int
    shift: int
    sign: int

    def rescale(self, x: Array, fraction_bits: int) -> Array:
        """Values on the common scale, as int64."""
        raised = (x.astype(np.int64) - self.zero_point) << fraction_bits
        scaled = multiply_by_quantized_multiplier(raised, self.multiplier, self.shift)
        return scaled.astype(np.int64) * self.sign


@dataclass(frozen=True)
class Affine:
    """out = clamp(((a * multiplier0 >> n) + (b * multiplier1 >> n) + offset) >> shift)."""

    multiplier0: int
    multiplier1: int
    offset: int
    shift: int


@dataclass(frozen=True, eq=False)
class Params:
    """Mirrors `td_add`.

    Attributes:
        operands: Where they come from.
        first, second: How they are rescaled, in the order of `operands`.
        multiplier, shift: From the sum to the output.
        zero_point: The output's.
        low, high: The stored range that the fused activation leaves.
        ratios: Each operand's signed scale over the output's, rounded once.
    """

    operands: Operands
    first: Operand
    second: Operand
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    ratios: tuple[float, float]

    def combine(self, a: Array, b: Array) -> Array:
        """The output for arrays `a` and `b` that broadcast, as int64."""
        bits = LEFT_SHIFT[self.operands.dtype]
        total = self.first.rescale(a, bits) + self.second.rescale(b, bits)
        out = multiply_by_quantized_multiplier(total, self.multiplier, self.shift)
        shifted: Array = out.astype(np.int64) + self.zero_point
        return np.minimum(np.maximum(shifted, self.low), self.high)

    @cached_property
    def affine(self) -> Affine | None:
        """With products of 40 bits, n = 8: the same output for all 65536 pairs, or None."""
        return self._affine(8)

    @cached_property
    def affine_32(self) -> Affine | None:
        """With products of 32 bits, n = 0: the same output for all 65536 pairs, or None."""
        return self._affine(0)

    def _affine(self, less: int) -> Affine | None:
        if self.operands.dtype is not DType.INT8:
            return None
        wanted = self.combine(INT8_VALUES[:, None], INT8_VALUES[None, :])
        for shift in range(22, 15, -1):
            multipliers = [round(ratio * 2.0 ** (shift + less)) for ratio in self.ratios]
            if max(abs(m) for m in multipliers) < 2**31:
                found = self._affine_by(wanted, multipliers, shift, less)
                if found is not None:
                    return found
        return None

    def _affine_by(
        self, wanted: PairTable, multipliers: Sequence[int], shift: int, less: int
    ) -> Affine | None:
        a, b = ((INT8_VALUES * m) >> less for m in multipliers)
        offset = binary.constant_offset(a[:, None] + b[None, :], wanted, self.low, self.high, shift)
        if offset is None or abs(offset) + abs(a).max() + abs(b).max() >= 2**31:
            return None
        return Affine(multipliers[0], multipliers[1], offset, shift)


def parse(view: OperatorView) -> Params:
    return parse_sum(view, (1, 1), AddOptions.FUSED_ACTIVATION)


def parse_sum(view: OperatorView, signs: tuple[int, int], activation_slot: int) -> Params:
    """Args:
    signs: 1 or -1, for the first and the second input.
    activation_slot: The field of the options with the fused activation.
    """
    operands = binary.parse_operands(view)
    quantization = [view.per_tensor(view.input(i)) for i in (0, 1)]
    out_scale, zero_point = view.per_tensor(view.output(0))
    scales = [np.float64(scale) for scale, _ in quantization]
    with np.errstate(all="ignore"):
        twice = 2 * max(scales)
        parts = [_multiplier(view, float(scale / twice)) for scale in scales]
        raised = np.float64(out_scale) * (1 << LEFT_SHIFT[operands.dtype])
        multiplier, shift = _multiplier(view, float(twice / raised))
    low, high = fused_limits(view, activation_slot, view.output(0))
    terms = [
        (Operand(zero, *part, sign), sign * scale / out_scale)
        for (scale, zero), part, sign in zip(quantization, parts, signs, strict=True)
    ]
    (first, ratio0), (second, ratio1) = terms[::-1] if operands.swapped else terms
    return Params(
        operands=operands,
        first=first,
        second=second,
        multiplier=multiplier,
        shift=shift,
        zero_point=zero_point,
        low=low,
        high=high,
        ratios=(ratio0, ratio1),
    )


def _multiplier(view: OperatorView, real: float) -> tuple[int, int]:
    """A multiplier that TFLite Micro demands to lie strictly between 0 and 1."""
    if 0 < real < 1:
        multiplier, shift = quantize_multiplier(real)
        if shift <= 0:
            return multiplier, shift
    return view.fail(f"its scales ask for a multiplier of {real:g}, needs to be in (0, 1)")


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    a, b = inputs[::-1] if params.operands.swapped else inputs
    assert a is not None
    assert b is not None
    return (params.combine(a, b).astype(a.dtype),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    p: Params = node.params
    if "affine" in kernel.name:
        affine = p.affine_32 if kernel.isa is Isa.MVE else p.affine
        assert affine is not None
        return binary.lower(
            node,
            p.operands,
            kernel,
            "td_add_affine",
            {
                **vars(affine),
                "low": p.low,
                "high": p.high,
            },
        )
    rescaled = {
        f"{name}.{key}": value
        for name, operand in (("first", p.first), ("second", p.second))
        for key, value in vars(operand).items()
    }
    return binary.lower(
        node,
        p.operands,
        kernel,
        "td_add",
        {
            **rescaled,
            "multiplier": p.multiplier,
            "shift": p.shift,
            "zero_point": p.zero_point,
            "low": p.low,
            "high": p.high,
        },
    )
