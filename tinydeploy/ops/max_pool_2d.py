"""MAX_POOL_2D: the largest pixel of each window.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflmax_pool_2d_tflmaxpool2dop
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from . import pool
from .pool import Params, parse

__all__ = ["KERNELS", "NAME", "Params", "lower", "parse", "reference"]

NAME = "MAX_POOL_2D"
KERNELS = (
    Kernel("td_s8_max_pool_2d__mve", Isa.MVE, lambda p: p.dtype is DType.INT8),
    Kernel("td_s8_max_pool_2d__dsp", Isa.DSP, lambda p: p.dtype is DType.INT8),
    Kernel("td_s8_max_pool_2d__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT8),
    Kernel("td_s16_max_pool_2d__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT16),
)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    return (pool.reference(params, inputs[0], lambda window: window.max(axis=1)),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    return pool.lower(node, kernel)
