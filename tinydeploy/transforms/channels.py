"""How the channels of a graph hang together, and what values they can have.

A channel is an index along the last dimension. Some operators compute a channel of their output
from the same channel of their inputs alone; the tensors that such operators connect are a family:
a channel that leaves one of them leaves them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Array, DType, Graph, Node, Tensor
from ..ops import OPERATORS
from ..ops.convolution import Axis, Requantization

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

BINARY = ("ADD", "SUB", "MUL")
_ELEMENTWISE = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")


@dataclass(eq=False)
class Family:
    """Tensors whose channels come and go together.

    Attributes:
        channels: How many; a tensor may have them several times over, as RESHAPE makes them.
        tensors: Indices.
        open: Whether all who write and read them can do without some.
        last: The position of the last node that writes one.
    """

    channels: int
    tensors: list[int] = field(default_factory=list)
    open: bool = True
    last: int = -1


def mixes(node: Node) -> bool:
    """Whether each output channel is a sum over all input channels."""
    params = node.params
    if node.op == "CONV_2D":
        return params.groups == 1 and isinstance(params.requant, Requantization)
    return node.op == "FULLY_CONNECTED" and isinstance(params.requant, Requantization)


def passes(graph: Graph, node: Node) -> bool:
    """Whether each output channel depends on the same channel of the inputs alone."""
    inputs, output = runtime_inputs(graph, node), graph.tensors[node.outputs[0]]
    if not inputs or any(not t.shape for t in (*inputs, output)):
        return False
    before, after = inputs[0].shape, output.shape
    if node.op == "RESHAPE":
        return after[-1] % before[-1] == 0
    if any(t.shape[-1] != after[-1] for t in inputs):
        return False
    if node.op == "DEPTHWISE_CONV_2D":
        return isinstance(node.params.requant, Requantization)
    if node.op == "PAD":
        return bool(node.params.paddings[-1] == (0, 0))
    if node.op == "MEAN":
        return len(before) - 1 not in node.params.axes
    return node.op in (*BINARY, *_ELEMENTWISE, *_POOLS)


def runtime_inputs(graph: Graph, node: Node) -> list[Tensor]:
    return [t for t in graph.node_inputs(node) if t is not None and not t.is_constant]


def families(graph: Graph) -> Mapping[int, Family]:
    """Runtime tensor -> its family."""
    found: dict[int, Family] = {}

    def join(tensors: Sequence[Tensor]) -> Family:
        joined = Family(0)
        for tensor in tensors:
            other = found.get(tensor.index) or Family(_channels(tensor), [tensor.index])
            if other is joined:
                continue
            joined.channels = math.gcd(joined.channels, other.channels)
            joined.open &= other.open and tensor.dtype is DType.INT8
            joined.last = max(joined.last, other.last)
            joined.tensors += other.tensors
            found.update(dict.fromkeys(other.tensors, joined))
        return joined

    for index in (*graph.inputs, *graph.outputs):
        join([graph.tensors[index]]).open = False
    for position, node in enumerate(graph.nodes):
        inputs, outputs = runtime_inputs(graph, node), graph.node_outputs(node)
        groups = [[t] for t in (*inputs, *outputs)]
        known = mixes(node)
        if passes(graph, node):
            groups, known = [[*inputs, *outputs]], True
        for group in groups:
            family = join(group)
            family.open &= known
            family.last = position
    return found


def _channels(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


@dataclass(frozen=True, eq=False)
class Range:
    """What the channels of an int8 tensor can be, over all inputs of the network.

    Attributes:
        least, most: int64 [channels].
    """

    least: Ints
    most: Ints

    @property
    def fixed(self) -> Mask:
        """Which have one value, `least`, whatever the input."""
        same: Mask = self.least == self.most
        return same

    def over(self, channels: int) -> Range:
        """The same channels so often over that they are so many."""
        return Range(np.resize(self.least, channels), np.resize(self.most, channels))


def anything(channels: int) -> Range:
    return Range(np.full(channels, -128), np.full(channels, 127))


def ranges(graph: Graph) -> Mapping[int, Range]:
    """Of the int8 tensors that are computed; what cannot be bounded is left out."""
    found: dict[int, Range] = {}
    for node in graph.nodes:
        output = graph.tensors[node.outputs[0]]
        if output.dtype is not DType.INT8 or not output.shape:
            continue
        if mixes(node) or (node.op == "DEPTHWISE_CONV_2D" and passes(graph, node)):
            source = of_input(graph, node, found)
            least, most = accumulators(graph, node, source)
            found[output.index] = Range(*node.params.requant.outputs_between(least, most))
        if passes(graph, node):
            _add_constants(graph, node, found)
    return found


def of_input(graph: Graph, node: Node, known: Mapping[int, Range]) -> Range:
    """Of a weighted node's input, a range a column of its weights."""
    source = graph.tensors[node.inputs[0]]
    channels = source.shape[-1] if source.shape else 1
    columns = node.params.in_depth if node.op == "FULLY_CONNECTED" else channels
    if columns % channels:
        return anything(columns)
    return known.get(source.index, anything(channels)).over(columns)


def accumulators(graph: Graph, node: Node, source: Range) -> tuple[Ints, Ints]:
    """(least, most) accumulator of each output channel, bias and zero point included.

    Args:
        source: Of each column of the weights; of a depthwise node, of each channel.
    """
    weights, bias = weights_of(graph, node), bias_of(graph, node)
    zero_point = node.params.requant.in_zero_point
    least, most = source.least - zero_point, source.most - zero_point
    if reads_padding(node):
        least, most = np.minimum(least, 0), np.maximum(most, 0)
    if node.op == "DEPTHWISE_CONV_2D":
        least, most = least[:, np.newaxis], most[:, np.newaxis]
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    lowest = (up * least + down * most).reshape(len(weights), -1).sum(axis=1)
    highest = (up * most + down * least).reshape(len(weights), -1).sum(axis=1)
    return lowest + bias, highest + bias


def weights_of(graph: Graph, node: Node) -> Ints:
    """[out_c, taps, in_c], or [out_c, taps] of a depthwise node; zero point subtracted."""
    data = graph.tensors[node.inputs[1]].data
    assert data is not None
    wide = data.astype(np.int64)
    if node.op == "FULLY_CONNECTED":
        zero_point: int = node.params.weights_zero_point
        return (wide - zero_point)[:, np.newaxis]
    if node.op == "DEPTHWISE_CONV_2D":
        return wide.reshape(-1, wide.shape[3]).T
    return wide.reshape(wide.shape[0], -1, wide.shape[3])


def bias_of(graph: Graph, node: Node) -> Ints:
    """[out_c], zeros where there is none."""
    tensor = graph.node_inputs(node)[2] if len(node.inputs) > 2 else None
    if tensor is None or tensor.data is None:
        return np.zeros(len(node.params.requant.shifts), np.int64)
    return tensor.data.reshape(-1).astype(np.int64)


def reads_padding(node: Node) -> bool:
    """Whether a window of a weighted node reaches beyond its input."""
    axes: list[Axis] = [] if node.op == "FULLY_CONNECTED" else [node.params.h, node.params.w]
    return any(axis.padded != (0, 0) for axis in axes)


def _add_constants(graph: Graph, node: Node, found: dict[int, Range]) -> None:
    """Channels that are fixed in all inputs, and so perhaps in the output: computes them."""
    inputs, output = runtime_inputs(graph, node), graph.tensors[node.outputs[0]]
    channels = output.shape[-1]
    given = [found.get(t.index) for t in inputs]
    if any(r is None or not r.fixed.any() for r in given):
        return
    known = [r.over(channels) for r in given if r is not None]
    values: dict[int, Array] = {
        t.index: np.broadcast_to(r.least, (*t.shape[:-1], len(r.least))).astype(np.int8)
        for t, r in zip(inputs, [r for r in given if r is not None], strict=True)
    }
    arguments: list[Any] = [
        None if i < 0 else values.get(i, graph.tensors[i].data) for i in node.inputs
    ]
    (result,) = OPERATORS[node.op].reference(node.params, arguments)
    rows = result.reshape(-1, channels).astype(np.int64)
    fixed = np.all([r.fixed for r in known], axis=0) & (rows == rows[0]).all(axis=0)
    before = found.get(output.index, anything(channels))
    found[output.index] = Range(
        np.where(fixed, rows[0], before.least), np.where(fixed, rows[0], before.most)
    )
