"""AVERAGE_POOL_2D: the mean of the pixels of each window that lie inside the input.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflaverage_pool_2d_tflaveragepool2dop
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph import Array, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from . import pool
from .pool import Params, parse

__all__ = ["KERNELS", "NAME", "Params", "lower", "parse", "reference"]

NAME = "AVERAGE_POOL_2D"

# Sums of int8 over this many pixels still fit into 16 bits.
_PIXELS = 256

KERNELS = (
    Kernel(
        "td_s8_average_pool_2d__dsp",
        Isa.DSP,
        lambda p: min(p.filter_h, p.in_h) * min(p.filter_w, p.in_w) <= _PIXELS,
    ),
    Kernel("td_s8_average_pool_2d__scalar", Isa.SCALAR),
)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    return (pool.reference(params, inputs[0], _mean),)


def _mean(window: Array) -> Array:
    """Rounded to nearest, halves away from zero."""
    total, count = window.sum(axis=1), window.shape[1]
    magnitude: Array = (np.abs(total) + count // 2) // count
    return np.where(total < 0, -magnitude, magnitude)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    return pool.lower(node, kernel)
