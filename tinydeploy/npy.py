"""The header of a `.npy` file: what an array claims to be, before any memory is given to it."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

# NumPy's own limit, which it looks at only after it has read as much as the header claims.
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Header:
    """What an array claims to be.

    Attributes:
        fortran: Its first index runs fastest.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes], size_bytes: int) -> Header:
    """The header that `file` begins with; what comes next are the array's elements.

    Args:
        file: Open at its start.
        size_bytes: Of the whole file.

    Raises:
        ValueError, EOFError: It is none, or claims more than there is in the file.
    """
    start = file.read(8)
    length = file.read(2 if start[6:7] == b"\1" else 4)
    count = int.from_bytes(length, "little")
    if count > _MOST_BYTES:
        raise ValueError(f"its header has {count} bytes, at most {_MOST_BYTES}")
    text = io.BytesIO(start + length + file.read(count))
    if np.lib.format.read_magic(text) == (1, 0):
        header = Header(*np.lib.format.read_array_header_1_0(text))
    else:
        header = Header(*np.lib.format.read_array_header_2_0(text))
    if any(d < 0 for d in header.shape):
        raise ValueError(f"its shape is {header.shape}")
    if header.bytes > size_bytes:
        raise EOFError("it ends too early")
    return header
