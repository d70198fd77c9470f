"""TRANSPOSE: the same elements with the dimensions in another order.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tfltranspose_tfltransposeop
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

NAME = "TRANSPOSE"
KERNELS = (
    Kernel("td_s8_transpose_bytes__mve", Isa.MVE, lambda p: p.is_of_near_bytes),
    Kernel("td_s8_transpose__scalar", Isa.SCALAR),
)

# As many dimensions as TFLite Micro transposes.
_LARGEST_RANK = 5


@dataclass(frozen=True)
class Params:
    """Mirrors `td_transpose`.

    Attributes:
        permutation: Which of the input's dimensions each of the output's is.
        row: Bytes that stay together.
        line: The loop over rows that the kernel runs innermost; its step is the input's, in bytes.
        around: The loops around that one, innermost first.
    """

    permutation: tuple[int, ...]
    row: int
    line: Loop
    around: tuple[Loop, ...]

    @property
    def is_of_near_bytes(self) -> bool:
        """Whether it moves bytes, eight of which are not farther apart than 16 bits can say."""
        return self.row == 1 and 0 <= 7 * self.line.steps[0] < 1 << 16


def parse(view: OperatorView) -> Params:
    if len(view.inputs) != 2:
        view.fail(f"has {len(view.inputs)} inputs, needs 2")
    dtype = same_type(view)
    source, output = runtime_input(view, 0), view.output(0)
    permutation = _permutation(view, len(source.shape))
    expect_shape(view, output, tuple(source.shape[axis] for axis in permutation))
    # The bytes of an element are one more dimension, the last. The output is walked in order.
    strides = loops.strides((*source.shape, dtype.bytes))
    moves = (*(strides[axis] for axis in permutation), 1)
    nest = loops.nest((*output.shape, dtype.bytes), [moves])
    together = bool(nest) and nest[0].steps == (1,)
    row = nest[0].extent if together else 1
    line, *around = (nest[1:] if together else nest) or (Loop(1, (0,)),)
    return Params(permutation, row, line, tuple(around))


def _permutation(view: OperatorView, rank: int) -> tuple[int, ...]:
    if rank > _LARGEST_RANK:
        view.fail(f"has {rank} dimensions, supported are up to {_LARGEST_RANK}")
    order = integers(view.constant(1, DType.INT32, rank=1))
    if sorted(order) != list(range(rank)):
        view.fail(f"{list(order)} is no order of {rank} dimensions")
    return order


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    x = inputs[0]
    assert x is not None
    return (np.ascontiguousarray(x.transpose(params.permutation)),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:  # noqa: ARG001
    p: Params = node.params
    if p.line.extent == 1:  # only dimensions of 1 change their places
        return None
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_transpose",
        header="td_transpose.h",
        fields={
            "row": p.row,
            "line": p.line.extent,
            "step": p.line.steps[0],
            "loop_count": len(p.around),
            "loops": loops.table(p.around),
        },
        inputs=(node.inputs[0],),
        outputs=node.outputs,
    )
