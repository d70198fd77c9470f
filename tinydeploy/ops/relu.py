"""RELU: max(x, 0), rescaled from the input's quantisation to the output's."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType
from . import byte_map, int16_map
from .base import OperatorView
from .checks import same_type, stored_range

NAME = "RELU"
KERNELS = (*byte_map.CLAMPS, *byte_map.LUTS, int16_map.CLAMP, int16_map.RESCALE)
reference = byte_map.reference
lower = byte_map.lower


def parse(view: OperatorView) -> byte_map.ByteMap | int16_map.Rescale:
    dtype = same_type(view)
    in_scale, in_zero = view.per_tensor(view.input(0))
    out_scale, out_zero = view.per_tensor(view.output(0))
    multiplier, shift = quantize_multiplier(in_scale / out_scale)

    if dtype is DType.INT16:
        return int16_map.rescale(view, (multiplier, shift), limits=(0, stored_range(dtype)[1]))

    def relu(x: Array) -> Array:
        rescaled = multiply_by_quantized_multiplier(x - in_zero, multiplier, shift)
        return np.clip(rescaled.astype(np.int64) + out_zero, max(-128, out_zero), 127)

    return byte_map.tabulate(view, relu)
