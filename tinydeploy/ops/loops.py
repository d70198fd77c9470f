"""Nested loops over a tensor that move several positions at once, as few of them as possible.

Their C twin is kernels/td_loops.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..plan.plan import Constant

# As many dimensions as TFLite Micro's shapes have: a row and five loops around it.
LARGEST_RANK = 6


@dataclass(frozen=True)
class Loop:
    """One loop.

    Attributes:
        extent: How often it runs.
        steps: What each position moves by from one turn to the next.
    """

    extent: int
    steps: tuple[int, ...]


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides in elements of a dense tensor of this shape."""
    return tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))


def nest(shape: Sequence[int], steps: Sequence[Sequence[int]]) -> tuple[Loop, ...]:
    """The fewest loops that walk over `shape` in order, innermost first.

    Args:
        shape: What is walked over; dimensions of 1 need no loop.
        steps: For each position, its strides along the dimensions.
    """
    loops: list[Loop] = []
    for extent, *moves in reversed(list(zip(shape, *steps, strict=True))):
        if extent == 1:
            continue
        inner = loops[-1] if loops else None
        if inner is not None and [inner.extent * s for s in inner.steps] == moves:
            loops[-1] = Loop(inner.extent * extent, inner.steps)
        else:
            loops.append(Loop(extent, tuple(moves)))
    return tuple(loops)


def table(loops: Sequence[Loop]) -> Constant | None:
    """The loops as kernels want them, innermost first: int32 [loops, 1 + positions].

    A row is the loop's extent and what each position goes on by when this loop takes its next
    turn and all the loops inside it start again. None where there are no loops.
    """
    if not loops:
        return None
    rows = []
    behind = [0] * len(loops[0].steps)
    for loop in loops:
        rows.append([loop.extent, *(s - b for s, b in zip(loop.steps, behind, strict=True))])
        behind = [b + (loop.extent - 1) * s for b, s in zip(behind, loop.steps, strict=True)]
    return Constant("loops", np.array(rows, np.int32))
