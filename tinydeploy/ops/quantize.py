"""QUANTIZE: float32 to int8 or int16, or from one quantisation to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Node
from ..plan.plan import FieldValue, Isa, Kernel, KernelCall
from . import byte_map, int16_map
from .base import OperatorView
from .checks import stored_range, symmetric

NAME = "QUANTIZE"


@dataclass(frozen=True)
class FromFloat:
    """float32 to int8 or int16; mirrors td_quantize.

    Attributes:
        count: Elements.
        zero_point, scale, dtype: The output's.
    """

    count: int
    zero_point: int
    scale: float
    dtype: DType

    def apply(self, x: Array) -> Array:
        """Numbers beyond the type become its limits, NaN the zero point: C leaves those two open,
        and TensorFlow Lite Micro answers them as its processor converts floats."""
        low, high = stored_range(self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.nan_to_num(x / np.float32(self.scale), nan=0.0).astype(np.float64)
        steps = np.clip(steps, 2 * low, 2 * (high + 1))
        rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        stored: Array = np.clip(rounded + self.zero_point, low, high).astype(self.dtype.numpy)
        return stored

    def call(self, node: Node, kernel: Kernel) -> KernelCall:
        fields: dict[str, FieldValue] = {
            "count": self.count,
            "zero_point": self.zero_point,
            "scale": self.scale,
        }
        return byte_map.call(node, kernel, "td_quantize", "td_quantize.h", fields)


Params = byte_map.ByteMap | int16_map.Rescale | FromFloat


def _from_float(name: str, dtype: DType) -> Kernel:
    return Kernel(name, Isa.SCALAR, lambda p: isinstance(p, FromFloat) and p.dtype is dtype)


KERNELS = (
    _from_float("td_f32_quantize__scalar", DType.INT8),
    _from_float("td_f32_s16_quantize__scalar", DType.INT16),
    *byte_map.FLIPS,
    *byte_map.LUTS,
    int16_map.RESCALE,
    int16_map.TO_INT8,
    int16_map.FROM_INT8,
)
reference = byte_map.reference
lower = byte_map.lower

# What the reference kernel computes of the pairs of stored types.
_PAIRS = (
    (DType.INT8, DType.INT8),
    (DType.INT8, DType.UINT8),
    (DType.UINT8, DType.INT8),
    (DType.INT16, DType.INT16),
    (DType.INT16, DType.INT8),
    (DType.INT8, DType.INT16),
)


def parse(view: OperatorView) -> Params:
    source = view.input(0, DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16)
    result = view.output(0, DType.INT8, DType.UINT8, DType.INT16)
    symmetric(view, source, result)
    out_scale, out_zero = view.per_tensor(result)
    if source.dtype is DType.FLOAT32:
        view.output(0, DType.INT8, DType.INT16)
        if source.shape != result.shape:
            view.fail(f"input has shape {list(source.shape)}, output has {list(result.shape)}")
        return FromFloat(result.elements, out_zero, out_scale, result.dtype)
    if (source.dtype, result.dtype) not in _PAIRS:
        view.fail(f"{source.dtype.value} to {result.dtype.value} is not supported")
    in_scale, in_zero = view.per_tensor(source)
    multiplier, shift = quantize_multiplier(in_scale / out_scale)
    if DType.INT16 in (source.dtype, result.dtype):
        return int16_map.rescale(view, (multiplier, shift))
    low, high = stored_range(result.dtype)

    def requantize(x: Array) -> Array:
        rescaled = multiply_by_quantized_multiplier(x - in_zero, multiplier, shift)
        return np.clip(rescaled.astype(np.int64) + out_zero, low, high)

    return byte_map.tabulate(view, requantize, source.dtype, result.dtype)
