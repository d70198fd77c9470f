"""SUB: ADD with a negative second operand; the same kernels compute it.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflsub_tflsubop
"""

from __future__ import annotations

import numpy as np

from ..tflite.schema import SubOptions
from .add import KERNELS, Params, lower, parse_sum, reference
from .base import OperatorView

__all__ = ["KERNELS", "NAME", "Params", "lower", "parse", "reference"]

NAME = "SUB"


def parse(view: OperatorView) -> Params:
    # TFLite Micro computes SUB's multipliers in float32, and ADD's in double.
    return parse_sum(view, (1, -1), SubOptions.FUSED_ACTIVATION, np.float32)
