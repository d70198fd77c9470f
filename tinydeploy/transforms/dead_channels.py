"""Leaves out channels that no output depends on.

A channel of a trained network is dead when it has the same value whatever the input, as those do
that weight decay or pruning has brought to nothing: what reads it can have it in its bias. Others
are read with weights of 0 alone. The result computes the same outputs, bit for bit, and every
channel that it keeps as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..graph import Array, DType, Graph, Kept, Node, Quantization, Tensor
from ..ops import OPERATORS
from ..ops.base import OperatorView
from .channels import BINARY, Ints, Mask, columns, groups, mixes, whole
from .ranges import Range, accumulators, bias_of, of_columns, ranges, reads_padding, weights_of

# Kernels take channels by fours; FULLY_CONNECTED with DSP instructions is faster where it can take
# them by eights.
_FOURS, _EIGHTS = 4, 8


def drop_dead_channels(graph: Graph) -> Graph:
    """The graph with fewer channels; itself when every channel counts.

    Tensors keep their index; weights that become smaller are new ones.
    """
    known, group_of = ranges(graph), groups(graph)
    needed = _needed_groups(graph, known, group_of)
    masks = {tensor: needed[group] for tensor, group in group_of.items()}
    if all(mask.all() for mask in masks.values()):
        return graph
    return _Editor(graph, known, masks).edited()


def _needed_groups(graph: Graph, known: Mapping[int, Range], group_of: Mapping[int, Ints]) -> Mask:
    """Which groups of channels stay: those that outputs depend on, and what rounds them up."""
    count = 1 + max((int(group.max()) for group in group_of.values()), default=-1)
    needed = np.zeros(count, np.bool_)
    for tensor in whole(graph) & group_of.keys():
        needed[group_of[tensor]] = True
    mixing = [node for node in reversed(graph.nodes) if mixes(graph, node)]
    reads, units = [_reads(graph, node, known) for node in mixing], _units(graph)
    while True:
        before = needed.sum()
        for node, read in zip(mixing, reads, strict=True):
            rows = needed[group_of[node.outputs[0]]]
            read_columns = columns(graph, node)[read[rows].any(axis=0)]
            needed[group_of[node.inputs[0]][read_columns]] = True
        if needed.sum() > before:
            continue
        for tensor, unit in units.items():
            group, fixed = group_of[tensor], known[tensor].fixed
            needed[group[_to_round_up(needed[group], fixed, unit)]] = True
        if needed.sum() == before:
            return needed


def _units(graph: Graph) -> Mapping[int, int]:
    """Tensor -> of what its channels remain a multiple, where kernels care."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        if not mixes(graph, node):
            continue
        found.setdefault(node.outputs[0], _FOURS)
        depths = graph.tensors[node.inputs[1]].shape
        if node.op == "FULLY_CONNECTED" and all(depth % _EIGHTS == 0 for depth in depths):
            found.update({node.inputs[0]: _EIGHTS, node.outputs[0]: _EIGHTS})
    return found


def _reads(graph: Graph, node: Node, known: Mapping[int, Range]) -> Mask:
    """bool [out_c, columns]: which columns each output of a node that mixes cannot do without."""
    source = of_columns(graph, node, known)
    # A fixed column adds the same to every sum: beyond the border, where it is 0, only if it is 0.
    in_bias = source.fixed
    if reads_padding(node):
        in_bias = in_bias & (source.least == node.params.requant.in_zero_point)
    read: Mask = (weights_of(graph, node) != 0).any(axis=1) & ~in_bias
    read[known[node.outputs[0]].fixed] = False
    return read


def _to_round_up(needed: Mask, fixed: Mask, unit: int) -> Ints:
    """Channels that make those needed a multiple of `unit`: fixed ones first, which cost least."""
    count = int(needed.sum())
    wanted = max(-(-count // unit), 1) * unit
    return np.lexsort((~fixed, ~needed))[count:wanted]


@dataclass(eq=False)
class _Editor:
    """Writes the smaller graph.

    Attributes:
        masks: Runtime tensor -> which of its channels remain.
    """

    graph: Graph
    known: Mapping[int, Range]
    masks: Mapping[int, Mask]

    def edited(self) -> Graph:
        self._tensors = [self._cut(tensor) for tensor in self.graph.tensors]
        nodes = tuple(self._node(node) for node in self.graph.nodes)
        return replace(self.graph, tensors=tuple(self._tensors), nodes=nodes)

    def _cut(self, tensor: Tensor) -> Tensor:
        mask = self.masks.get(tensor.index)
        if mask is None or mask.all():
            return tensor
        channels = np.flatnonzero(mask).tolist()
        shape = (*tensor.shape[:-1], len(channels))
        return replace(tensor, shape=shape, kept=Kept(tuple(channels), tensor.shape[-1]))

    def _node(self, node: Node) -> Node:
        around = [self.masks[i] for i in (*node.inputs, *node.outputs) if i in self.masks]
        if all(mask.all() for mask in around):
            return node
        assert node.options is not None
        inputs = node.inputs
        if mixes(self.graph, node):
            inputs = self._mixing_inputs(node)
        elif node.op == "DEPTHWISE_CONV_2D":
            inputs = self._depthwise_inputs(node)
        elif node.op in (*BINARY, "CONCATENATION"):
            inputs = tuple(self._operand(node, i) for i in inputs)
        view = OperatorView(
            node.index,
            node.op,
            tuple(None if i < 0 else self._tensors[i] for i in inputs),
            tuple(self._tensors[i] for i in node.outputs),
            node.options,
        )
        return replace(node, inputs=inputs, params=OPERATORS[node.op].parse(view))

    def _mixing_inputs(self, node: Node) -> tuple[int, ...]:
        """Fixed channels that are kept come from the bias alone: what they read may be gone."""
        graph, known = self.graph, self.known
        weights, bias = weights_of(graph, node), bias_of(graph, node)
        rows, fixed = self.masks[node.outputs[0]], known[node.outputs[0]].fixed
        kept = self.masks[node.inputs[0]][columns(graph, node)]
        alone, _ = accumulators(graph, node, known)
        weights[fixed] = 0
        read = of_columns(graph, node, known).least - node.params.requant.in_zero_point
        share = weights[:, :, ~kept].sum(axis=1) @ read[~kept]
        bias = np.where(fixed, alone, bias + share)[rows]
        stored = weights[rows][:, :, kept] + getattr(node.params, "weights_zero_point", 0)
        before = graph.tensors[node.inputs[1]]
        shape = (len(stored), *before.shape[1:-1], stored.shape[2])
        kernel = self._constant(before, stored.reshape(shape).astype(np.int8), rows)
        return (node.inputs[0], kernel, self._bias(node, bias, rows))

    def _depthwise_inputs(self, node: Node) -> tuple[int, ...]:
        before = self.graph.tensors[node.inputs[1]]
        assert before.data is not None
        rows = self.masks[node.outputs[0]]
        kernel = self._constant(before, before.data[..., rows], rows)
        bias = bias_of(self.graph, node)[rows]
        return (node.inputs[0], kernel, self._bias(node, bias, rows))

    def _bias(self, node: Node, data: Ints, rows: Mask) -> int:
        """A bias, modulo 2**32 where accumulators are; -1 for none."""
        given = self.graph.node_inputs(node)[2] if len(node.inputs) > 2 else None
        if given is None and not data.any():
            return -1
        if given is None:
            weights = self.graph.tensors[node.inputs[1]]
            assert weights.quantization is not None
            in_scale = self.graph.tensors[node.inputs[0]].scale
            scales = tuple(in_scale * scale for scale in weights.quantization.scales)
            quantization = Quantization(scales, (0,) * len(scales))
            dtype = DType.INT64 if getattr(node.params.requant, "wide", False) else DType.INT32
            given = Tensor(-1, "", rows.shape, dtype, quantization)
        return self._constant(given, data.astype(given.dtype.numpy), rows)

    def _operand(self, node: Node, index: int) -> int:
        """A constant operand, without the channels that its partner has lost."""
        tensor = self.graph.tensors[index]
        kept = self.masks[node.outputs[0]]
        if tensor.data is None or tensor.shape[-1:] != kept.shape:
            return index
        return self._constant(tensor, tensor.data[..., kept], kept)

    def _constant(self, before: Tensor, data: Array, rows: Mask) -> int:
        """A new constant in place of another; per-channel scales follow the rows."""
        quantization = before.quantization
        if quantization is not None and len(quantization.scales) == len(rows) > 1:
            index = np.flatnonzero(rows)
            quantization = replace(
                quantization,
                scales=tuple(quantization.scales[i] for i in index),
                zero_points=tuple(quantization.zero_points[i] for i in index),
            )
        self._tensors.append(
            Tensor(len(self._tensors), before.name, data.shape, before.dtype, quantization, data)
        )
        return len(self._tensors) - 1
