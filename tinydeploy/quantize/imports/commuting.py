"""Operators that a transposition may pass: the same operator for transposed inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...graph import Array
from .. import modelfile as mf

# fmt: off
_UNARY = frozenset((
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "LOGISTIC", "TANH",
    "HARD_SWISH", "ELU", "GELU", "ABS", "NEG", "SQRT", "RSQRT",
    "EXP", "LOG", "SQUARE",
))
# fmt: on
_BINARY = frozenset(
    ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU", "POW")
)
_PADS = frozenset({"PAD", "PADV2", "MIRROR_PAD"})
REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"})
_LAST_AXIS = frozenset({"SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION"})

Permutation = tuple[int, ...]


def inverse(permutation: Permutation) -> Permutation:
    return tuple(int(i) for i in np.argsort(permutation))


def after(first: Permutation, second: Permutation) -> Permutation:
    """What `first` and then `second` make."""
    return tuple(first[axis] for axis in second)


def order_of_many(shape: Sequence[int], permutation: Permutation) -> Permutation:
    """What a permutation does to the dimensions other than 1, among themselves."""
    moved = [axis for axis in permutation if shape[axis] != 1]
    return tuple(sorted(moved).index(axis) for axis in moved)


def spread(shape: Sequence[int], order: Permutation) -> Permutation:
    """The permutation that orders the dimensions other than 1 so, and leaves those of 1."""
    places = [axis for axis, size in enumerate(shape) if size != 1]
    permutation = list(range(len(shape)))
    for place, other in zip(places, order, strict=True):
        permutation[place] = places[other]
    return tuple(permutation)


def data_inputs(model: Any, operator: Any) -> list[int] | None:
    """Positions of the inputs that are transposed with it; None for what nothing passes."""
    name = mf.operator_name(model, operator)
    if name == "CONCATENATION" or name in _BINARY:
        return list(range(len(mf.indices(operator.inputs))))
    if name in _UNARY | _PADS | _LAST_AXIS or (
        name in REDUCTIONS and operator.builtinOptions.keepDims
    ):
        return [0]
    return None


def adapted(model: Any, operator: Any, permutation: Permutation) -> bool:
    """Changes an operator so that it takes its inputs transposed, and gives its output so.

    Args:
        model: Constants are added to it.
        operator: One with `data_inputs()`; left as it is where False is returned.
        permutation: Which old dimension each new one is.
    """
    name = mf.operator_name(model, operator)
    rank = len(permutation)
    if name in _LAST_AXIS:
        return permutation[-1] == rank - 1
    if name == "CONCATENATION":
        axis = operator.builtinOptions.axis % rank
        if not _constants_fit(model, operator, rank, equal=True):
            return False
        operator.builtinOptions.axis = permutation.index(axis)
    elif name in _BINARY and not _constants_fit(model, operator, rank, equal=False):
        return False
    elif name in _PADS:
        pads = _second_input(model, operator)
        if pads is None or pads.shape[0] != rank:
            return False
        _replace_input(model, operator, 1, pads[list(permutation)])
    elif name in REDUCTIONS:
        axes = _second_input(model, operator)
        if axes is None:
            return False
        moved = [permutation.index(int(a) % rank) for a in axes.reshape(-1)]
        _replace_input(model, operator, 1, np.array(moved, np.int32))
    if name == "CONCATENATION" or name in _BINARY:
        _transpose_constants(model, operator, permutation)
    return True


def _constants_fit(model: Any, operator: Any, rank: int, *, equal: bool) -> bool:
    """Whether all inputs have `rank` dimensions; constants may have fewer, unless `equal`."""
    tensors = [model.subgraphs[0].tensors[i] for i in mf.indices(operator.inputs)]
    for tensor in tensors:
        own = len(mf.shape_of(tensor))
        fixed = mf.constant(model, tensor) is not None
        if own > rank or (own != rank and (equal or not fixed)):
            return False
    return True


def _transpose_constants(model: Any, operator: Any, permutation: Permutation) -> None:
    for position, number in enumerate(mf.indices(operator.inputs)):
        data = mf.constant(model, model.subgraphs[0].tensors[number])
        if data is None or data.size == 1:
            continue
        whole = data.reshape((1,) * (len(permutation) - data.ndim) + data.shape)
        _replace_input(model, operator, position, whole.transpose(permutation))


def _second_input(model: Any, operator: Any) -> Array | None:
    inputs = mf.indices(operator.inputs)
    return mf.constant(model, model.subgraphs[0].tensors[inputs[1]]) if len(inputs) > 1 else None


def _replace_input(model: Any, operator: Any, position: int, data: Array) -> None:
    inputs = mf.indices(operator.inputs)
    old = model.subgraphs[0].tensors[inputs[position]]
    inputs[position] = add_tensor(model, mf.text(old.name), data.shape, data)
    operator.inputs = inputs


def add_tensor(model: Any, name: str, shape: Sequence[int], data: Array | None = None) -> int:
    """The number of a new tensor; of float32 where it has no data."""
    tensor = mf.schema().TensorT(name=name.encode(), shape=list(shape), type=0, buffer=0)
    if data is not None:
        mf.set_constant(model, tensor, data)
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1
