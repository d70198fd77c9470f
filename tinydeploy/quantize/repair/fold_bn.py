"""Batch normalisation becomes part of the layer before it.

A converter folds it where it can; what it could not see through, or a model that was exported in
training mode, still has a MUL and an ADD with constants behind a convolution. In int8 each would
be an operator of its own: time, flash, and twice more rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Array
from .. import modelfile as mf
from ..floatmodel import FloatModel
from ..schemes import Scheme
from ..statistics import Statistics
from .base import Change
from .editing import NONE, Editor, Linear

keeps_function = True

_AFFINE = ("MUL", "ADD", "SUB", "DIV")


def repair(model: FloatModel, statistics: Statistics | None, scheme: Scheme) -> Change:  # noqa: ARG001
    """Folds every MUL, DIV, ADD and SUB with a constant a channel into the layer before it."""
    editor = Editor(model)
    folded: set[int] = set()
    gone = 0
    for operator in list(editor.operators):
        while (layer := editor.linear(operator)) is not None and _fold_next(editor, layer):
            folded.add(layer.index)
            gone += 1
    if not gone:
        return Change(model.content, 0)
    note = f"{gone} MUL, DIV, ADD or SUB became part of {len(folded)} layers before them"
    return Change(editor.content(), len(folded), (note,))


def _fold_next(editor: Editor, layer: Linear) -> bool:
    """Folds what follows a layer into it; whether there was something to fold."""
    following = editor.only_consumer(layer.output)
    if following is None or editor.op(following) not in _AFFINE:
        return False
    if editor.activation(layer.operator) != NONE:
        return False
    weights = editor.weights_of(layer)
    found = _per_channel(editor, following, layer.output, weights.shape[layer.out_axis])
    activation = editor.activation(following)
    if found is None or (activation != NONE and layer.op == "TRANSPOSE_CONV"):
        return False
    factor, offset = found
    bias = editor.bias_of(layer).astype(np.float64) * factor + offset
    if np.any(factor != 1):
        scaled = layer.scaled_outputs(weights.astype(np.float64), factor)
        editor.set(layer.operator, layer.weights, scaled)
    editor.set_bias(layer, bias)
    if activation != NONE:
        editor.set_activation(layer.operator, activation)
    editor.bypass(following, layer.operator)
    return True


def _per_channel(
    editor: Editor, operator: Any, source: int, channels: int
) -> tuple[Array, Array] | None:
    """(factor, offset) of each channel, where an operator is that much and no more."""
    first, second = mf.indices(operator.inputs)
    values = editor.constant(second if first == source else first)
    if values is None or editor.shape(mf.indices(operator.outputs)[0]) != editor.shape(source):
        return None
    if values.size not in (1, channels) or (values.size > 1 and values.shape[-1] != channels):
        return None
    own = np.broadcast_to(values.reshape(-1).astype(np.float64), channels)
    zeros, ones = np.zeros(channels), np.ones(channels)
    op = editor.op(operator)
    if op == "MUL":
        return own, zeros
    if op == "ADD":
        return ones, own
    if op == "SUB":
        return (ones, -own) if first == source else (-ones, own)
    if first != source or np.any(own == 0):
        return None  # a constant divided by what is computed
    return 1 / own, zeros
