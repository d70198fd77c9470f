"""RELU6: min(max(x, 0), 6).

TensorFlow Lite Micro clamps the stored values between the input's 0 and 6, whatever the output's
quantisation: converters give both the same.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import Activation, activation_range
from ..graph import Array, DType
from . import byte_map, int16_map
from .base import OperatorView
from .checks import same_type, stored_range

NAME = "RELU6"
KERNELS = (*byte_map.CLAMPS, *byte_map.LUTS, int16_map.CLAMP)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap | int16_map.Rescale:
    dtype = same_type(view)
    scale, zero = view.per_tensor(view.input(0))
    view.per_tensor(view.output(0))
    low, high = activation_range(Activation.RELU6, scale, zero, *stored_range(dtype))
    if dtype is DType.INT16:
        return int16_map.clamp(view, low, high)

    def relu6(x: Array) -> Array:
        return np.clip(x, low, high)

    return byte_map.tabulate(view, relu6)
