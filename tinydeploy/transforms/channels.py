"""How the channels of a graph hang together. A channel is an index along the last dimension.

Some operators compute each channel of their output from a single channel of each input. What they
link so, directly or through each other, is a group of channels: they come and go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import DType, Graph, Node, Tensor

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

# Of tensors whose channels are linked.
TYPES = (DType.INT8, DType.INT16)

BINARY = ("ADD", "SUB", "MUL")
_ELEMENTWISE = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE")
_SPATIAL = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD")


def runtime_inputs(graph: Graph, node: Node) -> list[Tensor]:
    return [t for t in graph.node_inputs(node) if t is not None and not t.is_constant]


def mixes(graph: Graph, node: Node) -> bool:
    """Whether each output channel is a weighted sum over all channels of the input.

    A FULLY_CONNECTED whose rows of input are no whole pixels does not count.
    """
    if node.op == "CONV_2D":
        return bool(node.params.groups == 1)
    if node.op == "FULLY_CONNECTED":
        return bool(node.params.in_depth % _channels(graph.tensors[node.inputs[0]]) == 0)
    return False


def columns(graph: Graph, node: Node) -> Ints:
    """Which channel of its input each column of the weights of a node that mixes meets."""
    channels = _channels(graph.tensors[node.inputs[0]])
    count = node.params.in_depth if node.op == "FULLY_CONNECTED" else channels
    return np.arange(count) % channels


@dataclass(frozen=True, eq=False)
class Link:
    """Channel `sources[i]` of a node's input goes into channel `targets[i]` of its output.

    Attributes:
        tensor: The input's index.
        sources, targets: int64 [n].
    """

    tensor: int
    sources: Ints
    targets: Ints


def links(graph: Graph, node: Node) -> Sequence[Link]:
    """One for each runtime input, if they say all that the output is made of, constants aside;
    else none.
    """
    inputs, output = runtime_inputs(graph, node), graph.tensors[node.outputs[0]]
    if any(not t.shape or t.dtype not in TYPES for t in (*inputs, output)):
        return ()
    if node.op == "CONCATENATION" and node.params.axis == len(output.shape) - 1:
        return _links_of_parts(inputs) if len(inputs) == len(node.inputs) else ()
    channels = output.shape[-1]
    found = [Link(t.index, _sources(node, t.shape, channels), np.arange(channels)) for t in inputs]
    return found if all(link.sources.size for link in found) else ()


def _links_of_parts(inputs: Sequence[Tensor]) -> Sequence[Link]:
    """Of tensors that stand one behind the other in the output."""
    channels = [np.arange(t.shape[-1]) for t in inputs]
    starts = np.cumsum([0, *(len(c) for c in channels)])
    return [
        Link(tensor.index, own, start + own)
        for tensor, own, start in zip(inputs, channels, starts, strict=False)
    ]


def _sources(node: Node, shape: tuple[int, ...], channels: int) -> Ints:
    """Which channel of an input of `shape` makes each of the output's; empty if several do."""
    before, every = shape[-1], np.arange(channels)
    if node.op == "DEPTHWISE_CONV_2D":
        return every // (channels // before)
    if node.op == "RESHAPE" and channels % before == 0:
        return every % before
    if before == channels and _goes_by_channel(node, len(shape) - 1):
        return every
    return every[:0]


def _goes_by_channel(node: Node, last: int) -> bool:
    """Whether indices along the dimension `last`, of one size before and after, stay what they are,
    each for itself.
    """
    if node.op == "MEAN":
        return last not in node.params.axes
    if node.op == "TRANSPOSE":
        return bool(node.params.permutation[last] == last)
    return node.op in (*BINARY, *_ELEMENTWISE, *_SPATIAL, "CONCATENATION")


def groups(graph: Graph) -> Mapping[int, Ints]:
    """Runtime tensor -> int64 [channels], the number of each channel's group; numbers have gaps."""
    found: dict[int, Ints] = {}
    count = 0
    for index in _in_use(graph):
        channels = _channels(graph.tensors[index])
        found[index] = np.arange(count, count + channels)
        count += channels
    linked = [
        (found[link.tensor], link.sources, found[node.outputs[0]], link.targets)
        for node in graph.nodes
        for link in links(graph, node)
    ]
    # The least number of a group spreads along its links, there and back, until all have it.
    changed = True
    while changed:
        changed = False
        for before, sources, after, targets in (*linked, *reversed(linked)):
            least = np.minimum(before[sources], after[targets])
            changed |= bool((before[sources] != after[targets]).any())
            np.minimum.at(before, sources, least)
            np.minimum.at(after, targets, least)
    return found


def whole(graph: Graph) -> set[int]:
    """Tensors that keep every channel: the user's, and what other operators read or write."""
    found = {*graph.inputs, *graph.outputs}
    for node in graph.nodes:
        if not mixes(graph, node) and not links(graph, node):
            found.update(t.index for t in runtime_inputs(graph, node))
            found.update(node.outputs)
    return found


def _in_use(graph: Graph) -> Sequence[int]:
    """Runtime tensors that a node touches, in order."""
    touched = {i for node in graph.nodes for i in (*node.inputs, *node.outputs) if i >= 0}
    return [t.index for t in graph.tensors if t.index in touched and not t.is_constant]


def _channels(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1
