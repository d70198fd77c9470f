"""QUANTIZE: float32 to int8, or from one int8 or uint8 quantisation to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from . import byte_map
from .base import OperatorView

NAME = "QUANTIZE"


@dataclass(frozen=True)
class FromFloat:
    """float32 to int8; mirrors td_quantize.

    Attributes:
        count: Elements.
        zero_point, scale: The output's.
    """

    count: int
    zero_point: int
    scale: float


Params = byte_map.ByteMap | FromFloat

_FROM_FLOAT = Kernel("td_f32_quantize__scalar", Isa.SCALAR, lambda p: isinstance(p, FromFloat))

KERNELS = (_FROM_FLOAT, byte_map.FLIP, byte_map.LUT)

# What the reference kernel computes of the pairs of 8-bit types: all but uint8 to uint8.
_PAIRS = ((DType.INT8, DType.INT8), (DType.INT8, DType.UINT8), (DType.UINT8, DType.INT8))


def parse(view: OperatorView) -> Params:
    source = view.input(0, DType.FLOAT32, DType.INT8, DType.UINT8)
    result = view.output(0, DType.INT8, DType.UINT8)
    out_scale, out_zero = view.per_tensor(result)
    if source.dtype is DType.FLOAT32:
        view.output(0, DType.INT8)
        if source.shape != result.shape:
            view.fail(f"input has shape {list(source.shape)}, output has {list(result.shape)}")
        return FromFloat(result.elements, out_zero, out_scale)
    if (source.dtype, result.dtype) not in _PAIRS:
        view.fail(f"{source.dtype.value} to {result.dtype.value} is not supported")
    in_scale, in_zero = view.per_tensor(source)
    multiplier, shift = quantize_multiplier(in_scale / out_scale)
    low, high = (-128, 127) if result.dtype is DType.INT8 else (0, 255)

    def requantize(x: Array) -> Array:
        rescaled = multiply_by_quantized_multiplier(x - in_zero, multiplier, shift)
        return np.clip(rescaled.astype(np.int64) + out_zero, low, high)

    return byte_map.tabulate(view, requantize, source.dtype, result.dtype)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """Numbers beyond int8 become its limits, NaN the zero point: C leaves those two open, and
    TensorFlow Lite Micro answers them as its processor converts floats."""
    if isinstance(params, byte_map.ByteMap):
        return byte_map.reference(params, inputs)
    (x,) = inputs
    assert x is not None
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.nan_to_num(x / np.float32(params.scale), nan=0.0).astype(np.float64)
    steps = np.clip(steps, -256, 256)
    rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
    return (np.clip(rounded + params.zero_point, -128, 127).astype(np.int8),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:
    params: Params = node.params
    if isinstance(params, byte_map.ByteMap):
        return byte_map.lower(node, graph, kernel)
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_quantize",
        header="td_quantize.h",
        fields={
            "count": params.count,
            "zero_point": params.zero_point,
            "scale": params.scale,
        },
        inputs=(node.inputs[0],),
        outputs=(node.outputs[0],),
        in_place=((0, 0),),
    )
