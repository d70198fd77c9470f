"""What ADD, SUB and MUL share: two operands that broadcast, one of which may be a constant.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tfladd_tfladdop; shapes broadcast as NumPy's do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Array, DType, Node
from ..plan.plan import Constant, FieldValue, Kernel, KernelCall
from . import loops
from .base import OperatorView
from .checks import same_type, symmetric
from .loops import Loop

# An operator's output for every pair of int8 operands: integers [256, 256], counted from -128.
PairTable = NDArray[np.int64]
INT8_VALUES: NDArray[np.int64] = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Operands:
    """Where a binary operator's operands come from. Mirrors `td_operands`.

    Attributes:
        row: Length of the innermost loop; the output runs through it by 1.
        steps: For each operand, 1 if it runs along the row, 0 if it stays.
        around: The loops around the rows, innermost first.
        constant: Elements of the second operand where it is a constant. A constant first
            operand has changed places with the second: `swapped`.
        dtype: Of operands and output, int8 or int16.
    """

    row: int
    steps: tuple[int, int]
    around: tuple[Loop, ...]
    constant: Array | None
    swapped: bool
    whole: tuple[bool, bool]
    """For each operand, whether it has all of the output's elements."""
    dtype: DType

    @property
    def along(self) -> bool:
        """Both operands run along the row."""
        return self.steps == (1, 1)

    def fields(self) -> dict[str, FieldValue]:
        constant = self.constant
        return {
            "operands.row": self.row,
            "operands.step0": self.steps[0],
            "operands.step1": self.steps[1],
            "operands.loop_count": len(self.around),
            "operands.loops": loops.table(self.around),
            "operands.constant": None if constant is None else Constant("operand", constant),
        }


def parse_operands(view: OperatorView) -> Operands:
    """Checks inputs and output: of one type, shapes that broadcast, not both constant."""
    if len(view.inputs) != 2:
        view.fail(f"has {len(view.inputs)} inputs, needs 2")
    dtype = same_type(view)
    first, second, output = view.input(0), view.input(1, dtype), view.output(0)
    symmetric(view, second)
    if first.is_constant and second.is_constant:
        view.fail("both inputs are constants, supported is at most one")
    rank = max(len(first.shape), len(second.shape))
    if rank > loops.LARGEST_RANK:
        view.fail(f"has {rank} dimensions, supported are up to {loops.LARGEST_RANK}")
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        view.fail(f"shapes {list(first.shape)} and {list(second.shape)} do not broadcast")
    # Leading ones make no difference, and TFLite Micro lets them.
    if _extended(output.shape, rank) != _extended(shape, rank):
        view.fail(f"output has shape {list(output.shape)}, its inputs make {list(shape)}")
    swapped = first.is_constant
    operands = (second, first) if swapped else (first, second)
    innermost, *around = _loops(shape, *(_extended(t.shape, rank) for t in operands))
    return Operands(
        row=innermost.extent,
        steps=(innermost.steps[0], innermost.steps[1]),
        around=tuple(around),
        constant=operands[1].data,
        swapped=swapped,
        whole=(operands[0].elements == output.elements, operands[1].elements == output.elements),
        dtype=dtype,
    )


def _extended(shape: Sequence[int], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + tuple(shape)


def _loops(shape: Sequence[int], *operands: Sequence[int]) -> tuple[Loop, ...]:
    moves = [
        [0 if extent == 1 else stride for extent, stride in zip(o, loops.strides(o), strict=True)]
        for o in operands
    ]
    return loops.nest(shape, moves) or (Loop(1, (1, 1)),)


def constant_offset(
    accumulators: PairTable, wanted: PairTable, low: int, high: int, shift: int
) -> int | None:
    """The c for which clamp((accumulator + c) >> shift, low, high) is `wanted` for every pair.

    This is a proof by exhaustion that a cheaper formula computes the same function.

    Returns:
        The middle of the range of such c; None where there is none.
    """
    at_least = (wanted << shift) - accumulators
    below = ((wanted + 1) << shift) - accumulators
    first = int(at_least[wanted > low].max(initial=-(2**31)))
    last = int(below[wanted < high].min(initial=2**31)) - 1
    return (first + last) // 2 if first <= last else None


def lower(
    node: Node, operands: Operands, kernel: Kernel, struct: str, fields: Mapping[str, FieldValue]
) -> KernelCall:
    """A call of one of the binary kernels.

    Args:
        fields: The struct's fields after its `operands`.
    """
    inputs = node.inputs[::-1] if operands.swapped else node.inputs
    count = 1 if operands.constant is not None else 2
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct=struct,
        header=struct.removesuffix("_affine") + ".h",
        fields={**operands.fields(), **fields},
        inputs=inputs[:count],
        outputs=node.outputs,
        in_place=tuple((i, 0) for i in range(count) if operands.whole[i]),
        variadic=True,
    )
