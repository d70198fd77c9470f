"""PAD: the tensor with a border of zeros, which are the output's zero point.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflpad_tflpadop
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from . import loops
from .base import OperatorView
from .checks import expect_shape, integers, runtime_input, same_type
from .loops import Loop

NAME = "PAD"
KERNELS = (Kernel("td_s8_pad__mve", Isa.MVE), Kernel("td_s8_pad__scalar", Isa.SCALAR))

# As many dimensions as TFLite Micro pads.
_LARGEST_RANK = 5


@dataclass(frozen=True)
class Params:
    """Mirrors `td_pad`.

    Attributes:
        paddings: (before, after) for each dimension.
        value: What is padded with.
        out_bytes: Size of the output.
        start: At which byte of the output the input's first element goes.
        row: Bytes of the input that stay together.
        around: The loops around the rows; their steps are the output's, in bytes.
    """

    paddings: tuple[tuple[int, int], ...]
    value: int
    out_bytes: int
    start: int
    row: int
    around: tuple[Loop, ...]


def parse(view: OperatorView) -> Params:
    if len(view.inputs) != 2:
        view.fail(f"has {len(view.inputs)} inputs, needs 2")
    dtype = same_type(view)
    source, output = runtime_input(view, 0), view.output(0)
    paddings = _paddings(view, len(source.shape))
    shape = tuple(a + n + b for n, (a, b) in zip(source.shape, paddings, strict=True))
    expect_shape(view, output, shape)
    _, value = view.per_tensor(output)
    if not -128 <= value <= 127:
        view.fail(f"output's zero point {value} is not an int8")
    # The bytes of an element are one more dimension. A row is contiguous in the output too.
    strides = loops.strides((*shape, dtype.bytes))
    nest = loops.nest((*source.shape, dtype.bytes), [strides])
    together = bool(nest) and nest[0].steps == (1,)
    return Params(
        paddings=paddings,
        value=value,
        out_bytes=output.bytes,
        start=sum(a * s for (a, _), s in zip(paddings, strides, strict=False)),
        row=nest[0].extent if together else 1,
        around=nest[1:] if together else nest,
    )


def _paddings(view: OperatorView, rank: int) -> tuple[tuple[int, int], ...]:
    if rank > _LARGEST_RANK:
        view.fail(f"has {rank} dimensions, supported are up to {_LARGEST_RANK}")
    tensor = view.constant(1, DType.INT32, DType.INT64)
    values = integers(tensor)
    if len(values) != 2 * rank:
        view.fail(f"has {len(values)} paddings for {rank} dimensions, needs {2 * rank}")
    if any(value < 0 for value in values):
        view.fail(f"padding {min(values)} is negative")
    return tuple(zip(values[::2], values[1::2], strict=True))


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    x = inputs[0]
    assert x is not None
    return (np.pad(x, params.paddings, constant_values=params.value),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:  # noqa: ARG001
    p: Params = node.params
    if not any(any(pair) for pair in p.paddings):
        return None
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_pad",
        header="td_pad.h",
        fields={
            "value": p.value,
            "out_bytes": p.out_bytes,
            "start": p.start,
            "row": p.row,
            "loop_count": len(p.around),
            "loops": loops.table(p.around),
        },
        inputs=(node.inputs[0],),
        outputs=node.outputs,
    )
