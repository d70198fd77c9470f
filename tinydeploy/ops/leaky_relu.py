"""LEAKY_RELU: x where x >= 0, alpha * x elsewhere; alpha of any sign and size."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType
from ..tflite.schema import LeakyReluOptions
from . import byte_map, int16_map
from .base import OperatorView
from .checks import same_type

NAME = "LEAKY_RELU"
KERNELS = (*byte_map.CLAMPS, *byte_map.LUTS, int16_map.RESCALE)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap | int16_map.Rescale:
    dtype = same_type(view)
    in_scale, in_zero = view.per_tensor(view.input(0))
    out_scale, out_zero = view.per_tensor(view.output(0))
    alpha = view.options.float32(LeakyReluOptions.ALPHA)
    if not np.isfinite(alpha):
        view.fail(f"alpha is {alpha}")
    positive = quantize_multiplier(in_scale / out_scale)
    negative = quantize_multiplier(abs(in_scale * alpha / out_scale))
    sign = -1 if alpha < 0 else 1

    if dtype is DType.INT16:
        return int16_map.rescale(view, positive, negative, sign)

    def leaky_relu(x: Array) -> Array:
        value = x - in_zero
        above = multiply_by_quantized_multiplier(value, *positive).astype(np.int64)
        below = multiply_by_quantized_multiplier(value, *negative).astype(np.int64)
        stored: Array = np.where(value >= 0, above, sign * below) + out_zero
        return stored.clip(-128, 127)

    return byte_map.tabulate(view, leaky_relu)
