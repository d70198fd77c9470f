"""TANH, to a scale of 1/128 and a zero point of 0, which are not checked: the reference kernel
takes them for granted too."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import rounding_divide_by_pot
from ..graph import Array, DType
from . import byte_map, fixedpoint_functions, int16_map
from .base import OperatorView

NAME = "TANH"
KERNELS = (*byte_map.LUTS, int16_map.TANH)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap | int16_map.Sigmoid:
    if view.input(0, DType.INT8, DType.INT16).dtype is DType.INT16:
        return int16_map.sigmoid(view, is_tanh=True)
    scale, zero = view.per_tensor(view.input(0, DType.INT8))
    view.per_tensor(view.output(0, DType.INT8))
    scaling = fixedpoint_functions.InputScaling.of(view, scale)

    def tanh(x: Array) -> Array:
        value, inside = scaling.apply(x - zero)
        result = fixedpoint_functions.tanh(value, scaling.INTEGER_BITS)
        stored = np.clip(rounding_divide_by_pot(result, 31 - 7), -128, 127)
        return np.where(inside, stored, scaling.saturated(x - zero))

    return byte_map.tabulate(view, tanh)
