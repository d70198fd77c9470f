"""Weight clipping: a few large weights are cut off so that all others are rounded more finely.

For every scale of the weights (one a channel, or one a tensor) the threshold with the least squared
error is looked for; most often it is the largest weight itself, and nothing changes.
"""

from __future__ import annotations

import numpy as np

from ...graph import Array
from ..floatmodel import FloatModel
from ..schemes import Scheme
from ..statistics import Statistics
from .base import Change
from .editing import Editor

keeps_function = False

_SHARES = np.linspace(1.0, 0.3, 71)
_LEVELS = 127


def repair(model: FloatModel, statistics: Statistics | None, scheme: Scheme) -> Change:  # noqa: ARG001
    """Clips the weights of every layer where that makes their squared error smaller."""
    editor = Editor(model)
    before = after = 0.0
    clipped = 0
    for layer in editor.linears():
        weights = editor.weights_of(layer)
        rows = np.moveaxis(weights.astype(np.float64), layer.out_axis, 0)
        flat = rows.reshape(len(rows) if scheme.per_channel else 1, -1)
        limits, was, now = best_limits(flat)
        before, after = before + was, after + now
        if not np.any(limits < np.abs(flat).max(axis=1)):
            continue
        cut = np.clip(flat, -limits[:, None], limits[:, None]).reshape(rows.shape)
        editor.set(layer.operator, layer.weights, np.moveaxis(cut, 0, layer.out_axis))
        clipped += 1
    if not clipped:
        return Change(model.content, 0)
    note = f"the squared error of all weights falls by {1 - after / before:.1%}"
    return Change(editor.content(), clipped, (note,))


def best_limits(rows: Array) -> tuple[Array, float, float]:
    """Where to clip.

    Args:
        rows: float64 [scales, weights].

    Returns:
        The threshold of each row, and the squared error of all of them without clipping and with.
    """
    largest = np.abs(rows).max(axis=1)
    safe = np.where(largest > 0, largest, 1.0)
    best = np.full(len(rows), np.inf)
    chosen, unclipped = safe.copy(), 0.0
    for share in _SHARES:
        limit = safe * share
        step = (limit / _LEVELS)[:, None]
        stored = np.clip(np.rint(rows / step), -_LEVELS, _LEVELS)
        error = ((stored * step - rows) ** 2).sum(axis=1)
        unclipped = float(error.sum()) if share == 1 else unclipped
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, limit, chosen)
    return np.where(largest > 0, chosen, 0.0), unclipped, float(best.sum())
