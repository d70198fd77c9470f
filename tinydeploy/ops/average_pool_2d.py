"""AVERAGE_POOL_2D: the mean of the pixels of each window that lie inside the input.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflaverage_pool_2d_tflaveragepool2dop
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from . import pool
from .base import OperatorView
from .pool import Params

__all__ = ["KERNELS", "NAME", "Params", "lower", "parse", "reference"]

NAME = "AVERAGE_POOL_2D"

# Sums of int8 over this many pixels still fit into 16 bits.
_PIXELS = 256
# Sums of int16 over this many fit into 32 bits.
_LARGEST_COUNT = 65535

KERNELS = (
    Kernel(
        "td_s8_average_pool_2d__mve",
        Isa.MVE,
        lambda p: p.dtype is DType.INT8 and p.pixels <= _PIXELS,
    ),
    Kernel(
        "td_s8_average_pool_2d__dsp",
        Isa.DSP,
        lambda p: p.dtype is DType.INT8 and p.pixels <= _PIXELS,
        large=True,
    ),
    Kernel("td_s8_average_pool_2d__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT8),
    Kernel("td_s16_average_pool_2d__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT16),
)


def parse(view: OperatorView) -> Params:
    params = pool.parse(view)
    if params.dtype is DType.INT16 and params.pixels > _LARGEST_COUNT:
        view.fail(
            f"averages over {params.pixels} pixels, supported with int16 are up to {_LARGEST_COUNT}"
        )
    return params


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    return (pool.reference(params, inputs[0], _mean),)


def _mean(window: Array) -> Array:
    """Rounded to nearest, halves away from zero."""
    total, count = window.sum(axis=1), window.shape[1]
    magnitude: Array = (np.abs(total) + count // 2) // count
    return np.where(total < 0, -magnitude, magnitude)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    return pool.lower(node, kernel)
