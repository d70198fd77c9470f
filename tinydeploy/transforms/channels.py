"""How the channels of a graph hang together, and what values they can have.

A channel is an index along the last dimension. Many operators compute each channel of their output
from one channel of each input alone; channels that are linked so, directly or not, make a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import DType, Graph, Node, Tensor
from ..ops import OPERATORS
from ..ops.convolution import Axis, Requantization

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

BINARY = ("ADD", "SUB", "MUL")
_ELEMENTWISE = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")


def runtime_inputs(graph: Graph, node: Node) -> list[Tensor]:
    return [t for t in graph.node_inputs(node) if t is not None and not t.is_constant]


def mixes(node: Node) -> bool:
    """Whether each output channel is a weighted sum over all input channels, all int8."""
    params = node.params
    if node.op == "CONV_2D":
        return params.groups == 1 and isinstance(params.requant, Requantization)
    return node.op == "FULLY_CONNECTED" and isinstance(params.requant, Requantization)


@dataclass(frozen=True, eq=False)
class Link:
    """Output channel `to[i]` of a node is computed from channel `of[i]` of `tensor`.

    Attributes:
        tensor: Index of a runtime input.
        of, to: int64 [n].
    """

    tensor: int
    of: Ints
    to: Ints


def links(graph: Graph, node: Node) -> Sequence[Link]:
    """What each output channel is computed from, and from nothing else that is not constant.

    None where channels are mixed, or the operator is not one of those known here.
    """
    inputs, output = runtime_inputs(graph, node), graph.tensors[node.outputs[0]]
    if any(not t.shape or not t.elements for t in (*inputs, output)):
        return ()
    if node.op == "CONCATENATION" and node.params.axis == len(output.shape) - 1:
        return _links_of_parts(inputs) if len(inputs) == len(node.inputs) else ()
    channels = output.shape[-1]
    found = [Link(t.index, _sources(node, t.shape, channels), np.arange(channels)) for t in inputs]
    return found if all(link.of.size for link in found) else ()


def _links_of_parts(inputs: Sequence[Tensor]) -> Sequence[Link]:
    """Of tensors that lie one behind the other in the output."""
    ends = np.cumsum([t.shape[-1] for t in inputs])
    return [
        Link(t.index, np.arange(t.shape[-1]), np.arange(end - t.shape[-1], end))
        for t, end in zip(inputs, ends, strict=True)
    ]


def _sources(node: Node, shape: tuple[int, ...], channels: int) -> Ints:
    """Which channel of an input of `shape` makes each output channel; empty if not one alone."""
    before, every = shape[-1], np.arange(channels)
    if node.op == "DEPTHWISE_CONV_2D" and isinstance(node.params.requant, Requantization):
        return every // (channels // before)
    if node.op == "RESHAPE" and channels % before == 0:
        return every % before
    if before == channels and _by_channel(node, len(shape) - 1):
        return every
    return every[:0]


def _by_channel(node: Node, last: int) -> bool:
    """Whether an output channel comes from the input channel of the same number, along `last`."""
    if node.op == "PAD":
        return bool(node.params.paddings[last] == (0, 0))
    if node.op == "MEAN":
        return last not in node.params.axes
    if node.op == "TRANSPOSE":
        return bool(node.params.permutation[last] == last)
    return node.op in (*BINARY, *_ELEMENTWISE, *_POOLS, "CONCATENATION")


def groups(graph: Graph) -> Mapping[int, Ints]:
    """Runtime tensor -> int64 [channels], the group of each; numbered from 0, with gaps."""
    found: dict[int, Ints] = {}
    count = 0
    for tensor in graph.tensors:
        if not tensor.is_constant:
            found[tensor.index] = np.arange(count, count + _channels(tensor))
            count += _channels(tensor)
    pairs = [
        (found[node.outputs[0]], found[link.tensor], link)
        for node in graph.nodes
        for link in links(graph, node)
    ]
    changed = True
    while changed:
        changed = False
        for after, before, link in (*pairs, *reversed(pairs)):
            least = np.minimum(after[link.to], before[link.of])
            changed |= bool((after[link.to] != least).any() or (before[link.of] != least).any())
            np.minimum.at(after, link.to, least)
            np.minimum.at(before, link.of, least)
    return found


def whole(graph: Graph) -> Iterator[int]:
    """Runtime tensors that keep all their channels: of whom not all who touch them are known."""
    yield from (*graph.inputs, *graph.outputs)
    for node in graph.nodes:
        inputs = [t.index for t in runtime_inputs(graph, node)]
        if mixes(node):
            if columns(graph, node) is None:
                yield from inputs
        elif not links(graph, node):
            yield from (*inputs, *node.outputs)
        touched = (*inputs, *node.outputs)
        yield from (i for i in touched if graph.tensors[i].dtype is not DType.INT8)


def columns(graph: Graph, node: Node) -> Ints | None:
    """Of a node that mixes: which channel of its input each column of its weights meets.

    None if that differs from one row of the input to the next.
    """
    channels = _channels(graph.tensors[node.inputs[0]])
    if node.op == "CONV_2D":
        return np.arange(channels)
    count: int = node.params.in_depth
    return None if count % channels else np.arange(count) % channels


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

    def take(self, channels: Ints) -> Range:
        return Range(self.least[channels], self.most[channels])


def anything(channels: int) -> Range:
    return Range(np.full(channels, -128), np.full(channels, 127))


def ranges(graph: Graph) -> Mapping[int, Range]:
    """Runtime tensor -> its range; those of other types than int8 have `anything`."""
    tensors = [t for t in graph.tensors if not t.is_constant]
    found = {t.index: anything(_channels(t)) for t in tensors}
    for node in graph.nodes:
        output = graph.tensors[node.outputs[0]]
        linked = links(graph, node)
        if output.dtype is not DType.INT8:
            continue
        if mixes(node) or (node.op == "DEPTHWISE_CONV_2D" and linked):
            least, most = accumulators(graph, node, of_columns(graph, node, found))
            found[output.index] = Range(*node.params.requant.outputs_between(least, most))
        if linked:
            found[output.index] = _with_constants(graph, node, found)
    return found


def of_columns(graph: Graph, node: Node, known: Mapping[int, Range]) -> Range:
    """What a weighted node reads: a range a column; of a depthwise one, an output channel."""
    source = known[node.inputs[0]]
    if node.op == "DEPTHWISE_CONV_2D":
        return source.take(links(graph, node)[0].of)
    met = columns(graph, node)
    return anything(node.params.in_depth) if met is None else source.take(met)


def accumulators(graph: Graph, node: Node, source: Range) -> tuple[Ints, Ints]:
    """(least, most) accumulator of each output channel, bias and zero point included.

    Args:
        source: As `of_columns` gives it.
    """
    zero_point = node.params.requant.in_zero_point
    least, most = source.least - zero_point, source.most - zero_point
    if reads_padding(node):
        least, most = np.minimum(least, 0), np.maximum(most, 0)
    weights, bias = weights_of(graph, node), bias_of(graph, node)
    up, down = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    if node.op == "DEPTHWISE_CONV_2D":
        return up * least + down * most + bias, up * most + down * least + bias
    return up @ least + down @ most + bias, up @ most + down @ least + bias


def weights_of(graph: Graph, node: Node) -> Ints:
    """[out_c, taps, columns], or [out_c, taps] of a depthwise node; zero point subtracted."""
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


def _with_constants(graph: Graph, node: Node, known: Mapping[int, Range]) -> Range:
    """The range of a linked node's output, where channels that are fixed in all inputs are
    computed: they are fixed in the output too, unless they differ from place to place.
    """
    output = graph.tensors[node.outputs[0]]
    before = known[output.index]
    fixed = np.ones(len(before.least), np.bool_)
    for link in links(graph, node):
        fixed[link.to] &= known[link.tensor].fixed[link.of]
    if not fixed.any():
        return before
    values = {
        t.index: np.broadcast_to(known[t.index].least, t.shape).astype(t.dtype.numpy)
        for t in runtime_inputs(graph, node)
    }
    arguments: list[Any] = [
        None if i < 0 else values.get(i, graph.tensors[i].data) for i in node.inputs
    ]
    (result,) = OPERATORS[node.op].reference(node.params, arguments)
    rows = result.reshape(-1, len(fixed)).astype(np.int64)
    fixed &= (rows == rows[:1]).all(axis=0)
    return Range(np.where(fixed, rows[0], before.least), np.where(fixed, rows[0], before.most))
