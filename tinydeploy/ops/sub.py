"""SUB: ADD with a negative second operand; the same kernels compute it.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflsub_tflsubop
"""

from __future__ import annotations

from ..tflite.schema import SubOptions
from .add import KERNELS, Params, lower, parse_sum, reference
from .base import OperatorView

__all__ = ["KERNELS", "NAME", "Params", "lower", "parse", "reference"]

NAME = "SUB"


def parse(view: OperatorView) -> Params:
    return parse_sum(view, (1, -1), SubOptions.FUSED_ACTIVATION)
