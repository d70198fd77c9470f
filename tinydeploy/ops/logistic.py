"""LOGISTIC: 1 / (1 + exp(-x)), to a scale of 1/256 from -128, or of 2**-15 where it is int16."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import rounding_divide_by_pot
from ..graph import Array, DType
from . import byte_map, fixedpoint_functions, int16_map
from .base import OperatorView

NAME = "LOGISTIC"
KERNELS = (*byte_map.LUTS, int16_map.LOGISTIC)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap | int16_map.Sigmoid:
    if view.input(0, DType.INT8, DType.INT16).dtype is DType.INT16:
        return int16_map.sigmoid(view, is_tanh=False)
    scale, zero = view.per_tensor(view.input(0, DType.INT8))
    _, out_zero = view.per_tensor(view.output(0, DType.INT8))
    if out_zero != -128:
        view.fail(f"the output's zero point is {out_zero}, must be -128")
    scaling = fixedpoint_functions.InputScaling.of(view, scale)

    def logistic(x: Array) -> Array:
        value, inside = scaling.apply(x - zero)
        result = fixedpoint_functions.logistic(value, scaling.INTEGER_BITS)
        stored = np.clip(rounding_divide_by_pot(result, 31 - 8).astype(np.int64) - 128, -128, 127)
        return np.where(inside, stored, scaling.saturated(x - zero))

    return byte_map.tabulate(view, logistic)
