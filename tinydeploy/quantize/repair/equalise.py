"""Cross-layer equalisation: channels of very different sizes are brought to one size.

An activation has one scale for all its channels, so a small channel next to a large one is left
with a few of the 256 steps. A layer's output channel i may be divided by s_i and the next layer's
input channel i multiplied by it without changing what the two compute, as long as everything
between them lets a positive factor pass: nothing, ReLU, LeakyReLU, pooling, zero padding, a mean
over the picture, a reshape. ReLU6 does not: it is made a ReLU where the calibration data never
reach 6, which the quantised range then clips at anyway; elsewhere the pair is left alone.

Source:
    Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization
    and Bias Correction (ICCV 2019), section 4.1. With a scale for each channel of the weights,
    what has to share one scale is the activation between the layers and the second layer's
    columns; so there the measured activations take the place of the first layer's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from .. import modelfile as mf
from ..floatmodel import FloatModel
from ..schemes import Scheme
from ..statistics import Statistics
from .base import Change
from .editing import NONE, RELU, RELU6, Editor, Linear

keeps_function = True

_ROUNDS = 40
_SETTLED = 1e-3
# Beyond, a channel that the calibration data hardly woke up would clip on others.
_LARGEST_FACTOR = 1024.0
_PASSING = ("RELU", "LEAKY_RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "MEAN", "RESHAPE",
            "SQUEEZE", "EXPAND_DIMS")  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two layers and what is between them.

    Attributes:
        channels: Of the first one's output.
        sixes: Operators between them, or the first itself, whose ReLU6 must become a ReLU.
    """

    first: Linear
    second: Linear
    channels: int
    sixes: tuple[Any, ...]


def repair(model: FloatModel, statistics: Statistics | None, scheme: Scheme) -> Change:
    """Equalises every pair of layers that can be.

    Args:
        model: The float model.
        statistics: Of its activations; None (data-free) is as in the paper, from weights alone.
        scheme: Whether weights have a scale for each channel decides what is brought to one size.
    """
    editor = Editor(model)
    blocked: list[str] = []
    pairs = [p for x in editor.linears() if (p := _pair(editor, x, statistics, blocked))]
    measured = statistics if scheme.per_channel else None
    factors = _settled(editor, pairs, measured)
    touched: set[int] = set()
    for pair, factor in zip(pairs, factors, strict=True):
        if np.allclose(factor, 1, rtol=0.01):
            continue
        _apply(editor, pair, factor)
        touched |= {pair.first.index, pair.second.index}
    notes = []
    if touched:
        widest = max(float(f.max() / f.min()) for f in factors)
        notes.append(
            f"{len(pairs)} pairs of layers share their channels' sizes, which differed by a factor "
            f"of up to {widest:.3g}"
        )
    if blocked:
        notes.append(f"left alone for a ReLU6 that is reached: {', '.join(blocked)[:200]}")
    return Change(editor.content() if touched else model.content, len(touched), tuple(notes))


# ---- Which layers make a pair ---------------------------------------------------------------


def _pair(
    editor: Editor, first: Linear, statistics: Statistics | None, blocked: list[str]
) -> _Pair | None:
    """The pair that begins with a layer; None where its output cannot be scaled."""
    channels = editor.weights_of(first).shape[first.out_axis]
    sixes: list[Any] = []
    operator, output = first.operator, first.output
    while True:
        if not _passes(editor, operator, sixes):
            return None
        following = editor.only_consumer(output)
        if following is None:
            return None
        second = editor.linear(following)
        if second is not None:
            break
        if editor.op(following) not in (*_PASSING, "RELU6"):
            return None
        if not _keeps_channels(editor, following, output, channels):
            return None
        operator, output = following, mf.indices(following.outputs)[0]
    if second.source != output or second.channels_in % channels:
        return None
    if second.op != "FULLY_CONNECTED" and second.channels_in != channels:
        return None
    reached = [o for o in sixes if not _below_six(editor, o, statistics)]
    if reached:
        blocked.append(f"layer {first.index} {first.op}")
        return None
    return _Pair(first, second, channels, tuple(sixes))


def _passes(editor: Editor, operator: Any, sixes: list[Any]) -> bool:
    """Whether an operator's activation lets a positive factor through; notes a ReLU6."""
    activation = editor.activation(operator)
    if activation == RELU6 or editor.op(operator) == "RELU6":
        sixes.append(operator)
        return True
    return activation in (NONE, RELU)


def _below_six(editor: Editor, operator: Any, statistics: Statistics | None) -> bool:
    name = editor.name(mf.indices(operator.outputs)[0])
    seen = statistics.tensors.get(name) if statistics else None
    return seen is not None and seen.max < 6.0


def _keeps_channels(editor: Editor, operator: Any, source: int, channels: int) -> bool:
    """Whether what was in a channel stays in it, the channels last."""
    op = editor.op(operator)
    after = editor.shape(mf.indices(operator.outputs)[0])
    if op == "MEAN":
        axes = editor.whole_numbers(mf.indices(operator.inputs)[1])
        rank = len(editor.shape(source))
        return axes is not None and all(int(a) % rank != rank - 1 for a in axes.reshape(-1))
    if op == "PAD":
        paddings = editor.whole_numbers(mf.indices(operator.inputs)[1])
        return paddings is not None and not paddings.reshape(-1, 2)[-1].any()
    if op in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
        flattened = len(after) == 2 and after[0] == 1 and after[1] % channels == 0
        return after[-1] == channels or flattened
    return after[-1] == channels


# ---- The factors ----------------------------------------------------------------------------


def _settled(editor: Editor, pairs: list[_Pair], statistics: Statistics | None) -> list[Array]:
    """Each pair's s, found in turns, since a layer may be in two pairs."""
    weights = {
        x.index: editor.weights_of(x).astype(np.float64)
        for pair in pairs
        for x in (pair.first, pair.second)
    }
    factors = [np.ones(pair.channels) for pair in pairs]
    for _ in range(_ROUNDS):
        largest = 1.0
        for number, pair in enumerate(pairs):
            step = _step(editor, pair, weights, statistics, factors[number])
            factors[number] = factors[number] * step
            first, second = pair.first, pair.second
            weights[first.index] = first.scaled_outputs(weights[first.index], 1 / step)
            weights[second.index] = second.scaled_inputs(weights[second.index], step)
            largest = max(largest, float(np.maximum(step, 1 / step).max()))
        if largest < 1 + _SETTLED:
            break
    return factors


def _step(
    editor: Editor,
    pair: _Pair,
    weights: Mapping[int, Array],
    statistics: Statistics | None,
    so_far: Array,
) -> Array:
    """What to multiply a pair's factors with: the geometric mean of both sides' sizes."""
    columns = pair.second.by_input(weights[pair.second.index], pair.channels)
    rows = pair.first.by_output(weights[pair.first.index])
    measured = _measured(editor, pair.first.output, statistics, pair.channels)
    if measured is not None:
        rows = measured / so_far
        if pair.second.op == "DEPTHWISE_CONV_2D":
            columns = np.ones_like(columns)  # each has a scale of its own: nothing to win there
    live = (rows > 0) & (columns > 0)
    if live.sum() < 2:
        return np.ones(pair.channels)
    wanted = np.where(live, rows, 1.0) / np.where(live, columns, 1.0)
    if measured is None or pair.second.op != "DEPTHWISE_CONV_2D":
        wanted = np.sqrt(wanted)
    wanted = wanted / np.exp(np.log(wanted[live]).mean())  # a common factor changes nothing
    total = np.clip(so_far * wanted, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)
    return np.where(live, total / so_far, 1.0)


def _measured(
    editor: Editor, tensor: int, statistics: Statistics | None, channels: int
) -> Array | None:
    seen = statistics.tensors.get(editor.name(tensor)) if statistics else None
    if seen is None or seen.channel_min.size != channels:
        return None
    sizes: Array = np.maximum(np.abs(seen.channel_min), np.abs(seen.channel_max))
    return sizes.astype(np.float64)


def _apply(editor: Editor, pair: _Pair, factor: Array) -> None:
    first, second = (editor.linear(x.operator) for x in (pair.first, pair.second))
    assert first is not None
    assert second is not None
    rows, columns = editor.weights_of(first), editor.weights_of(second)
    had_bias = first.bias >= 0
    bias = editor.bias_of(first).astype(np.float64)
    editor.set(first.operator, first.weights, first.scaled_outputs(rows, 1 / factor))
    if had_bias:
        editor.set_bias(first, bias / factor)
    editor.set(second.operator, second.weights, second.scaled_inputs(columns, factor))
    for operator in pair.sixes:
        if editor.op(operator) == "RELU6":
            editor.set_op(operator, "RELU")
        else:
            editor.set_activation(operator, RELU)
