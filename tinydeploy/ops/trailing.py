"""How far below its input the output of a convolution must start to be written over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .convolution import Axis


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
    first_row = np.maximum(np.arange(h.out) * h.stride - h.pad, 0)
    first_column = np.maximum(np.arange(w.out) * w.stride - w.pad, 0)
    reads = (first_row[:, np.newaxis] * w.size + first_column).reshape(-1) * channels[0]
    # The lowest byte that a step or any after it reads.
    lowest = np.array([reads[first:end].min() for first, end in steps])
    later = np.minimum.accumulate(lowest[::-1])[::-1]
    written = steps[:, 1] * channels[1]
    ahead = written[:-1] - later[1:] if copies else written - later
    return int(max(0, ahead.max(initial=0)))


def by_steps(pixels: int, step: int, *, again: bool) -> NDArray[np.int64]:
    """Steps of `step` pixels; what is left over one by one, or with those before it again."""
    whole = pixels // step * step
    first = list(range(0, whole, step))
    ends = [f + step for f in first]
    if again and pixels > whole > 0:
        first, ends = [*first, pixels - step], [*ends, pixels]
    first += range(whole, pixels)
    ends += range(whole + 1, pixels + 1)
    return np.array(list(zip(first, ends, strict=True)), np.int64).reshape(-1, 2)
