"""One file an operator, and the table of them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from . import (
    add,
    average_pool_2d,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    dequantize,
    fully_connected,
    hard_swish,
    leaky_relu,
    logistic,
    max_pool_2d,
    mean,
    mul,
    pad,
    quantize,
    relu,
    relu6,
    reshape,
    softmax,
    sub,
    tanh,
    transpose,
)
from .base import Operator

_MODULES = (
    add,
    average_pool_2d,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    dequantize,
    fully_connected,
    hard_swish,
    leaky_relu,
    logistic,
    max_pool_2d,
    mean,
    mul,
    pad,
    quantize,
    relu,
    relu6,
    reshape,
    softmax,
    sub,
    tanh,
    transpose,
)

OPERATORS: Mapping[str, Operator] = {m.NAME: cast(Operator, m) for m in _MODULES}
