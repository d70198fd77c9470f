"""One file an operator, and the table of them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from . import (
    dequantize,
    hard_swish,
    leaky_relu,
    logistic,
    quantize,
    relu,
    relu6,
    softmax,
    tanh,
)
from .base import Operator

_MODULES = (
    dequantize,
    hard_swish,
    leaky_relu,
    logistic,
    quantize,
    relu,
    relu6,
    softmax,
    tanh,
)

OPERATORS: Mapping[str, Operator] = {m.NAME: cast(Operator, m) for m in _MODULES}
