"""RELU6: min(max(x, 0), 6).

TensorFlow Lite Micro clamps the stored values between the input's 0 and 6, whatever the output's
quantisation: converters give both the same.
"""

from __future__ import annotations

import numpy as np

from ..fixedpoint import Activation, activation_range
from ..graph import Array, DType
from . import byte_map
from .base import OperatorView

NAME = "RELU6"
KERNELS = (*byte_map.CLAMPS, byte_map.LUT)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap:
    scale, zero = view.per_tensor(view.input(0, DType.INT8))
    view.per_tensor(view.output(0, DType.INT8))
    low, high = activation_range(Activation.RELU6, scale, zero)

    def relu6(x: Array) -> Array:
        return np.clip(x, low, high)

    return byte_map.tabulate(view, relu6)
