"""What values the channels of a graph can have, over all inputs: interval arithmetic on integers.

It takes what the kernels compute, wrapping and rounding included, and knows of no training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..ops import OPERATORS
from ..ops.checks import stored_range
from ..ops.convolution import Axis
from .channels import TYPES, Ints, Mask, columns, links, mixes, runtime_inputs


@dataclass(frozen=True, eq=False)
class Range:
    """What the channels of a tensor can be.

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


def ranges(graph: Graph) -> Mapping[int, Range]:
    """Runtime tensor -> its range; that of its type where nothing is known."""
    found: dict[int, Range] = {}
    for tensor in graph.tensors:
        if not tensor.is_constant and tensor.dtype in TYPES:
            low, high = stored_range(tensor.dtype)
            channels = tensor.shape[-1:] or (1,)
            found[tensor.index] = Range(np.full(channels, low), np.full(channels, high))
    for node in graph.nodes:
        output, linked = node.outputs[0], bool(links(graph, node))
        if mixes(graph, node) or (linked and node.op == "DEPTHWISE_CONV_2D"):
            least, most = accumulators(graph, node, found)
            found[output] = Range(*node.params.requant.outputs_between(least, most))
        if linked:
            found[output] = _with_constants(graph, node, found)
    return found


def of_columns(graph: Graph, node: Node, known: Mapping[int, Range]) -> Range:
    """What each column of the weights of a node that mixes reads."""
    return known[node.inputs[0]].take(columns(graph, node))


def accumulators(graph: Graph, node: Node, known: Mapping[int, Range]) -> tuple[Ints, Ints]:
    """(least, most) exact accumulator of each output channel, bias and zero point included.

    Args:
        node: One that mixes, or a linked DEPTHWISE_CONV_2D.
    """
    depthwise = node.op == "DEPTHWISE_CONV_2D"
    if depthwise:
        source = known[node.inputs[0]].take(links(graph, node)[0].sources)
    else:
        source = of_columns(graph, node, known)
    zero_point = node.params.requant.in_zero_point
    least, most = source.least - zero_point, source.most - zero_point
    if reads_padding(node):
        least, most = np.minimum(least, 0), np.maximum(most, 0)
    weights, bias = weights_of(graph, node), bias_of(graph, node)
    up, down = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    if depthwise:
        return up * least + down * most + bias, up * most + down * least + bias
    return up @ least + down @ most + bias, up @ most + down @ least + bias


def weights_of(graph: Graph, node: Node) -> Ints:
    """[out_c, taps, columns], or [out_c, taps] of a DEPTHWISE_CONV_2D; zero point subtracted."""
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
    """The range of a linked node's output, narrower where all that goes into a channel is fixed.

    Such a channel is fixed, too, unless it differs from place to place: it is computed.
    """
    inputs, before = runtime_inputs(graph, node), known[node.outputs[0]]
    fixed = np.ones(len(before.least), np.bool_)
    for link in links(graph, node):
        fixed[link.targets] &= known[link.tensor].fixed[link.sources]
    if not fixed.any():
        return before
    values = {
        t.index: np.broadcast_to(known[t.index].least, t.shape).astype(t.dtype.numpy)
        for t in inputs
    }
    arguments: list[Any] = [
        None if i < 0 else values.get(i, graph.tensors[i].data) for i in node.inputs
    ]
    (result,) = OPERATORS[node.op].reference(node.params, arguments)
    places = result.reshape(-1, len(fixed)).astype(np.int64)
    fixed &= (places == places[0]).all(axis=0)
    return Range(np.where(fixed, places[0], before.least), np.where(fixed, places[0], before.most))
