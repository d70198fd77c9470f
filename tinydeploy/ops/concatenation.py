"""CONCATENATION: tensors one after the other along an axis.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflconcatenation_tflconcatenationop
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fixedpoint import Activation
from ..graph import Array, DType, Graph, Node, Tensor
from ..plan.plan import Constant, Isa, Kernel, KernelCall
from ..tflite.schema import ConcatenationOptions
from .base import OperatorView
from .checks import expect_shape, symmetric

NAME = "CONCATENATION"
KERNELS = (
    Kernel("td_s8_concatenation__mve", Isa.MVE),
    Kernel("td_s8_concatenation__scalar", Isa.SCALAR),
)

# TFLite Micro's own limits.
_MOST_INPUTS = 10
_LARGEST_RANK = 6


@dataclass(frozen=True, eq=False)
class Part:
    """An input.

    Attributes:
        bytes: How much of it goes into the output at a time.
        constant: Its elements where it is a constant.
    """

    bytes: int
    constant: Array | None


@dataclass(frozen=True, eq=False)
class Params:
    """Mirrors `td_concatenation`.

    Attributes:
        axis: Counted from the first, 0.
        times: How often the parts take turns.
        parts: The inputs, in order.
    """

    axis: int
    times: int
    parts: tuple[Part, ...]


def parse(view: OperatorView) -> Params:
    output = view.output(0, DType.INT8, DType.INT16)
    inputs = [view.input(i, output.dtype) for i in range(len(view.inputs))]
    symmetric(view, *inputs, output)
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        view.fail(f"has {len(inputs)} inputs, supported are 1 to {_MOST_INPUTS}")
    if all(tensor.is_constant for tensor in inputs):
        view.fail("all inputs are constants, supported is at least one computed at run time")
    activation = view.options.int8(ConcatenationOptions.FUSED_ACTIVATION)
    if activation != Activation.NONE:
        view.fail(f"fused activation {activation} is not supported, supported is NONE")
    for position, tensor in enumerate(inputs):
        if view.per_tensor(tensor) != view.per_tensor(output):
            view.fail(f"input {position} and the output have different scales or zero points")
    axis = _axis(view, inputs, output)
    inner = math.prod(output.shape[axis + 1 :]) * output.dtype.bytes
    return Params(
        axis=axis,
        times=math.prod(output.shape[:axis]),
        parts=tuple(Part(t.shape[axis] * inner, t.data) for t in inputs),
    )


def _axis(view: OperatorView, inputs: Sequence[Tensor], output: Tensor) -> int:
    """The axis, counted from the first, after a check of all shapes."""
    rank = len(output.shape)
    if not 1 <= rank <= _LARGEST_RANK:
        view.fail(f"output has {rank} dimensions, supported are 1 to {_LARGEST_RANK}")
    asked = view.options.int32(ConcatenationOptions.AXIS)
    if not -rank <= asked < rank:
        view.fail(f"axis {asked} is outside of {rank} dimensions")
    axis = asked % rank
    for position, tensor in enumerate(inputs):
        view.input(position, rank=rank)
        if _without(tensor.shape, axis) != _without(output.shape, axis):
            view.fail(
                f"input {position} has shape {list(tensor.shape)}, which does not fit "
                f"{list(output.shape)} along axis {axis}"
            )
    total = sum(tensor.shape[axis] for tensor in inputs)
    expect_shape(view, output, (*output.shape[:axis], total, *output.shape[axis + 1 :]))
    return axis


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    return (np.concatenate([x for x in inputs if x is not None], axis=params.axis),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:
    p: Params = node.params
    if len(p.parts) == 1:
        return None
    constants = [np.zeros(0, np.int8)]
    table = []
    for part in p.parts:
        offset = -1
        if part.constant is not None:
            offset = sum(c.size for c in constants)
            constants.append(part.constant.reshape(-1).view(np.int8))
        table.append((part.bytes, offset))
    joined = np.concatenate(constants)
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_concatenation",
        header="td_concatenation.h",
        fields={
            "times": p.times,
            "part_count": len(table),
            "parts": Constant("parts", np.array(table, np.int32)),
            "constants": Constant("operands", joined, align=1) if joined.size else None,
        },
        inputs=tuple(i for i in node.inputs if not graph.tensors[i].is_constant),
        outputs=node.outputs,
        variadic=True,
    )
