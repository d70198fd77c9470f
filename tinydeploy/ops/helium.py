"""What the Helium (mve) kernels of convolutions and fully connected layers are given.

The layouts and the arithmetic are those of kernels/td_mve.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Array
from ..plan.plan import Constant
from .convolution import Axis, Requantization, ceil_to
from .requantization_16x8 import Requantization16x8
from .trailing import by_steps

CHANNELS = 4  # that are computed side by side
PRODUCTS = 16  # bytes of a vector: int8 products of one instruction
PRODUCTS_16X8 = 8
_RUN = 16  # pixels of at most PRODUCTS bytes that are read again for each CHANNELS
_STRIP_BYTES = 1024  # for the columns of a strip, where two pixels do not need more
TILE_COLUMN_BYTES = 64  # of the tiles of a depthwise convolution


def applies_any_scale(requant: Requantization | Requantization16x8) -> bool:
    """Whether kernels with TD_MVE_ANY_SCALE do: each channel is fixed or shifts right."""
    return isinstance(requant, Requantization) and requant.fast


def applies(requant: Requantization | Requantization16x8) -> bool:
    """Whether `scales` exist: each channel is fixed, or shifts right and rounds as they can."""
    if not isinstance(requant, Requantization) or not requant.fast:
        return False
    right = -np.array(requant.shifts, dtype=np.int64)
    return bool(np.all(requant.fixed | _clamps_negative(requant) | _rounds_away(requant, right)))


def _clamps_negative(requant: Requantization) -> bool:
    return requant.low >= requant.out_zero_point


def _rounds_away(requant: Requantization, right: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether no value that is not clamped reaches 2**(31 - right)."""
    most = 1 + max(requant.high - requant.out_zero_point, requant.out_zero_point - requant.low)
    return most << right <= np.int64(1) << (31 - right)


def requantization(
    requant: Requantization, folded: NDArray[np.int64], *, any_scale: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(bias [channels], rows [channels, 2] of multiplier, scale).

    Fixed channels have weights of 0 and twice the distance of their output from the zero point
    as their v.

    Args:
        folded: int64 [channels], the bias with the input's zero point.
        any_scale: For a kernel with TD_MVE_ANY_SCALE.
    """
    right = -np.array(requant.shifts, dtype=np.int64)
    value = requant.apply(np.array(requant.lowest)).astype(np.int64) - requant.out_zero_point
    nudge = 0 if any_scale or _clamps_negative(requant) else 1
    scales = (np.int64(1) << (31 - np.clip(right, 1, 31))) + nudge
    bias = np.where(requant.fixed, 4 * value, folded)
    multipliers = np.where(requant.fixed, 1 << 30, requant.multipliers)
    rows = np.stack([multipliers, np.where(requant.fixed, 1 << 30, scales)], axis=1)
    return bias.astype(np.int32), rows.astype(np.int32)


def by_fours(rows: Array, groups: int = 1) -> Array:
    """[groups, ceil(n / 4), columns, 4] from [groups * n, columns], zeros behind each group."""
    grouped = rows.reshape(groups, rows.shape[0] // groups, -1)
    behind = -grouped.shape[1] % CHANNELS
    padded = np.pad(grouped, ((0, 0), (0, behind), (0, 0)))
    return padded.reshape(groups, -1, CHANNELS, rows.shape[1]).transpose(0, 1, 3, 2)


def rows_by_fours(rows: Array) -> Array:
    """int32 [ceil(n / 4), 8], 4 multipliers and 4 scales each, from [n, 2].

    Channels behind the last one have those of the last one.
    """
    behind = -len(rows) % CHANNELS
    padded = np.pad(rows, ((0, behind), (0, 0)), mode="edge")
    return padded.reshape(-1, CHANNELS, 2).transpose(0, 2, 1).reshape(-1, 2 * CHANNELS)


def weights(matrix: Array, groups: int = 1, vector: int = PRODUCTS) -> Constant:
    """int8 [groups, ceil(n / 4), chunks, 4, vector] from [groups * n, products]."""
    padded = np.pad(matrix.astype(np.int8), ((0, 0), (0, -matrix.shape[1] % vector)))
    chunks = padded.shape[1] // vector
    blocks = by_fours(padded, groups).reshape(groups, -1, chunks, vector, CHANNELS)
    return Constant("weights", blocks.transpose(0, 1, 2, 4, 3), align=8)


def tiles(taps: Array) -> Constant:
    """int8 [channels, column, row] of 4 x 4, then 8 zeros, from [channels, 9].

    The first column and row are zeros, so that loads from up to 5 bytes later are the same weights
    moved by a column, a row or both.
    """
    by_column = taps.astype(np.int8).reshape(-1, 3, 3).transpose(0, 2, 1)
    padded = np.pad(by_column, ((0, 0), (1, 0), (1, 0)))
    return Constant("weights", np.pad(padded.reshape(-1), (0, 8)), align=8)


def lines(taps: Array) -> Constant:
    """int8 [channels, 16], then 8 zeros, from [channels, at most 13].

    Three zeros come first, so that loads from up to 3 bytes later are the same weights moved.
    """
    padded = np.pad(taps.astype(np.int8), ((0, 0), (3, 13 - taps.shape[1])))
    return Constant("weights", np.pad(padded.reshape(-1), (0, 8)), align=8)


def by_eights(taps: Array) -> Constant:
    """int8 [ceil(channels / 8), taps, 8] from [channels, taps]."""
    padded = np.pad(taps.astype(np.int8), ((0, -len(taps) % 8), (0, 0)))
    return Constant("weights", padded.reshape(-1, 8, taps.shape[1]).transpose(0, 2, 1), align=8)


def evens_and_odds(table: Array) -> Array:
    """int32 [ceil(channels / 8), columns, 2, 4]: the even, then the odd ones of eight channels.

    Args:
        table: [channels, columns].
    """
    padded = np.pad(table, ((0, -len(table) % 8), (0, 0)))
    return padded.reshape(-1, 4, 2, table.shape[1]).transpose(0, 3, 2, 1)


def tables(
    requant: Requantization, folded: NDArray[np.int64], groups: int, *, any_scale: bool
) -> Constant:
    """int32: for each group, bias [ceil(n / 4), 4], then rows [ceil(n / 4), 2, 4]."""
    return _tables(*requantization(requant, folded, any_scale=any_scale), groups)


def requantization_16x8(requant: Requantization16x8, bias: Array | None) -> tuple[Array, Array]:
    """(where sums start [channels], multipliers [channels, 1]), where it rounds once.

    A record that shifts left by 1 has no sum but its bias.
    """
    start, multipliers, left = requant.records(bias).data.T
    return start << left, multipliers[:, np.newaxis]


def tables_16x8(requant: Requantization16x8, bias: Array | None, groups: int) -> Constant:
    """int32: for each group, bias [ceil(n / 4), 4], then multipliers [ceil(n / 4), 4]."""
    return _tables(*requantization_16x8(requant, bias), groups)


def _tables(bias: Array, rows: Array, groups: int) -> Constant:
    parts: Sequence[Array] = [
        by_fours(bias[:, np.newaxis], groups).reshape(groups, -1),
        by_fours(rows, groups).reshape(groups, -1),
    ]
    return Constant("requant", np.concatenate(parts, axis=1), align=8)


def padded_bytes(products: int) -> int:
    """Of a pixel's products, as whole vectors."""
    return ceil_to(products, PRODUCTS)


@dataclass(frozen=True)
class Strips:
    """How a convolution goes over the pixels of its output: see td_s8_conv_2d__mve.c.

    Attributes:
        depth: Bytes of a group's input channels.
    """

    h: Axis
    w: Axis
    depth: int
    groups: int

    @property
    def pixels(self) -> int:
        """Of a row, whose input is gathered at once; 0 where it is read where it lies."""
        h, w = self.h, self.w
        whole = w.kernel == 1 or self.groups == w.dilation == 1
        if h.kernel == 1 and whole and not any((*h.padded, *w.padded)):
            return 0
        if w.dilation > 1:
            return 1
        columns = _STRIP_BYTES // (h.kernel * self.depth)
        most = (columns - w.kernel) // w.stride + 1
        return w.out if most >= w.out else min(max(most // 2 * 2, 2), w.out)

    @property
    def scratch_bytes(self) -> int:
        column = self.h.kernel * self.depth
        patch = padded_bytes(self.w.kernel * column)
        if self.pixels == 0:
            return 2 * patch
        waits = patch > PRODUCTS and (self.pixels % 2 or self.w.out % 2)
        return ((self.pixels - 1) * self.w.stride * column + patch) * (2 if waits else 1)

    @property
    def steps(self) -> NDArray[np.int64]:
        """[steps, 2] of the first pixel that is computed before others are read, and of the next
        step's first."""
        h, w, strip, row = self.h, self.w, self.pixels, self.w.out
        if strip == 0 and w.kernel * self.depth > PRODUCTS:
            return by_steps(h.out * row, 2, again=False)
        if strip == 0:
            strip = _RUN
            if w.kernel == w.stride == h.stride == 1:
                row *= h.out
        first = np.arange(0, row, strip)
        pairs = np.stack([first, np.minimum(first + strip, row)], axis=1)
        steps: NDArray[np.int64] = np.concatenate(
            [pairs + start for start in range(0, h.out * w.out, row)]
        )
        return steps
