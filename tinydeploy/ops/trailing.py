"""How far below its input the output of a convolution must start to be written over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .convolution import Axis

_NEVER = 1 << 62  # where a window that reads nothing begins


def distance_bytes(
    h: Axis, w: Axis, channels: tuple[int, int], steps: NDArray[np.int64], *, copies: bool
) -> int:
    """The distance at which no pixel is written over that is still to be read.

    Args:
        channels: Bytes of a pixel of the input and of the output.
        steps: [steps, 2] of the first output pixel that a step of the kernel computes and the one
            after its last.
        copies: A step has read all before it writes; else it may also read what it writes over.
    """
    row, column = _first_read(h), _first_read(w)
    pixels = row[:, np.newaxis] * w.size + column
    some = (row[:, np.newaxis] < h.size) & (column < w.size)
    reads = np.where(some, pixels * channels[0], _NEVER).reshape(-1)
    # The lowest byte that a step or any after it reads.
    lowest = np.minimum.reduceat(np.append(reads, _NEVER), steps.reshape(-1))[::2]
    later = np.minimum.accumulate(lowest[::-1])[::-1]
    written = steps[:, 1] * channels[1]
    ahead = written[:-1] - later[1:] if copies else written - later
    return int(max(0, ahead.max(initial=0)))


def _first_read(axis: Axis) -> NDArray[np.int64]:
    """The first position inside the input that each window reads; `size` where there is none."""
    start = np.arange(axis.out) * axis.stride - axis.pad
    outside = -(np.minimum(start, 0) // axis.dilation)
    first = start + outside * axis.dilation
    reads = first <= start + (axis.kernel - 1) * axis.dilation
    return np.where(reads, np.minimum(first, axis.size), axis.size)


def by_steps(pixels: int, step: int, *, again: bool) -> NDArray[np.int64]:
    """Steps of `step` pixels; what is left over one by one, or with those before it again."""
    whole = pixels // step * step
    first = np.arange(0, whole, step)
    steps = [np.stack([first, first + step], axis=1)]
    if again and pixels > whole > 0:
        steps.append(np.array([[pixels - step, pixels]]))
    left = np.arange(whole, pixels)
    steps.append(np.stack([left, left + 1], axis=1))
    return np.concatenate(steps).astype(np.int64)
