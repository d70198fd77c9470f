"""DEQUANTIZE: int8, uint8 or int16 to float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from .base import OperatorView
from .checks import symmetric

NAME = "DEQUANTIZE"


@dataclass(frozen=True)
class Params:
    """Mirrors td_quantize.

    Attributes:
        count: Elements.
        zero_point, scale: The input's.
        dtype: The input's.
    """

    count: int
    zero_point: int
    scale: float
    dtype: DType


KERNELS = (
    Kernel("td_s8_dequantize__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT8),
    Kernel("td_u8_dequantize__scalar", Isa.SCALAR, lambda p: p.dtype is DType.UINT8),
    Kernel("td_s16_dequantize__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT16),
)


def parse(view: OperatorView) -> Params:
    source = view.input(0, DType.INT8, DType.UINT8, DType.INT16)
    result = view.output(0, DType.FLOAT32)
    if source.shape != result.shape:
        view.fail(f"input has shape {list(source.shape)}, output has {list(result.shape)}")
    symmetric(view, source)
    scale, zero_point = view.per_tensor(source)
    return Params(source.elements, zero_point, scale, source.dtype)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    (x,) = inputs
    assert x is not None
    # The product of such a difference and a float32 is exact in a double: one rounding.
    real = params.scale * (x.astype(np.int32) - params.zero_point)
    with np.errstate(over="ignore"):
        return (real.astype(np.float32),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:  # noqa: ARG001
    params: Params = node.params
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
