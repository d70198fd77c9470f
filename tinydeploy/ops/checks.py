"""Checks that several operators make of what a file says."""

from __future__ import annotations

import numpy as np

from ..fixedpoint import Activation, activation_range
from ..graph import DType, Tensor
from .base import OperatorView

_FUSED = (Activation.NONE, Activation.RELU, Activation.RELU_N1_TO_1, Activation.RELU6)


def fused_limits(view: OperatorView, slot: int, output: Tensor) -> tuple[int, int]:
    """The stored range that the activation in options field `slot` leaves of the output."""
    number = view.options.int8(slot)
    if number not in _FUSED:
        known = ", ".join(a.name for a in _FUSED)
        view.fail(f"fused activation {number} is not supported, supported are {known}")
    return activation_range(
        Activation(number), *view.per_tensor(output), *stored_range(output.dtype)
    )


def stored_range(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest integer of a type."""
    limits = np.iinfo(dtype.numpy)
    return int(limits.min), int(limits.max)


def runtime_input(view: OperatorView, position: int, *dtypes: DType) -> Tensor:
    """A required input that must be computed at run time."""
    tensor = view.input(position, *dtypes)
    if tensor.is_constant:
        view.fail(f"input {position} is a constant, supported is one computed at run time")
    return tensor


def symmetric(view: OperatorView, *tensors: Tensor) -> None:
    """Refuses int16 tensors with a zero point other than 0, as TFLite does."""
    for tensor in tensors:
        if tensor.dtype is DType.INT16 and view.per_tensor(tensor)[1] != 0:
            view.fail(
                f"tensor {tensor.index} is int16 with zero point {view.per_tensor(tensor)[1]}, "
                "supported is 0"
            )


def same_type(view: OperatorView) -> DType:
    """The type of input 0 and output 0, both int8 or both int16."""
    source = view.input(0, DType.INT8, DType.INT16)
    symmetric(view, source, view.output(0, source.dtype))
    return source.dtype


def positive(view: OperatorView, **values: int) -> None:
    """Refuses the operator unless every one of the named values is at least 1."""
    for name, value in values.items():
        if value < 1:
            view.fail(f"{name} is {value}, must be at least 1")


def expect_shape(view: OperatorView, output: Tensor, shape: tuple[int, ...]) -> None:
    """Refuses an output of any other shape."""
    if output.shape != shape:
        view.fail(f"output has shape {list(output.shape)}, its inputs make {list(shape)}")


def integers(tensor: Tensor) -> tuple[int, ...]:
    """All elements of an integer constant, in row-major order."""
    assert tensor.data is not None
    return tuple(int(value) for value in tensor.data.reshape(-1))
