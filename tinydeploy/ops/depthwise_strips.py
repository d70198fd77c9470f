"""How a depthwise convolution of 3 x 3 is cut into strips: what td_depthwise_3x3.h computes."""

from __future__ import annotations

from dataclasses import dataclass

from .convolution import Axis

_WIDEST = 6  # columns of a strip


@dataclass(frozen=True)
class Way:
    """One way to go through an image.

    Attributes:
        cycles: Estimated, of four channels on a Cortex-M4.
        transposed: Strips are rows, computed from the left to the right; else they are columns,
            computed from the top to the bottom.
        by_columns: Some columns of the output are written before all of the input are read.
    """

    scratch_bytes: int
    cycles: int
    transposed: bool
    by_columns: bool


def ways(h: Axis, w: Axis, channels: int) -> list[Way]:
    """Those that there are for strides of 1 or 2, the one that takes the least memory first."""
    found = []
    for transposed, along, across in ((False, h, w), (True, w, h)):
        by_columns = not transposed and w.out > _WIDEST
        # It would write over other columns of the input than it has read.
        spoils = by_columns and w.out != w.size
        scratch_bytes = _scratch_bytes(along, across)
        if across.out >= 3 and not spoils and is_little(scratch_bytes, (h, w), channels):
            cycles = _cycles(along, across)
            found.append(Way(scratch_bytes, cycles, transposed, by_columns))
    return sorted(found, key=lambda way: (way.scratch_bytes, way.cycles))


def is_little(scratch_bytes: int, axes: tuple[Axis, Axis], channels: int) -> bool:
    """Whether a kernel's scratch is no burden beside the layer's input."""
    return scratch_bytes <= 2048 + axes[0].size * axes[1].size * channels


def _scratch_bytes(along: Axis, across: Axis) -> int:
    """Four channels of a strip, and where the others begin."""
    read = min(along.size, along.stride * (along.out - 1) + 3 - along.pad)
    pitch = 4 if across.stride == 1 else 7
    return 4 * (pitch * (4 * read + 5) + across.stride * (across.out - 3) // 2)


def widths(columns: int) -> list[int]:
    """Of the strips of so many columns of the output, at least 3."""
    sixes = (columns - 3) // _WIDEST
    left = columns - _WIDEST * sixes
    return [_WIDEST] * sixes + ([left] if left <= _WIDEST else [4, left - 4])


def _cycles(along: Axis, across: Axis) -> int:
    each = 21 if across.stride == 1 else 26  # of two outputs
    pairs = (across.stride * (across.out - 1) + 3 + 1) // 2
    cycles = 60 + pairs * (17 * along.size + 60)
    return cycles + sum(
        4 * (along.out * (each * width // 2 + 34) + 38) + 100 for width in widths(across.out)
    )
