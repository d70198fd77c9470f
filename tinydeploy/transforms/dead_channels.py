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
from .channels import (
    BINARY,
    Family,
    Ints,
    Mask,
    Range,
    accumulators,
    anything,
    bias_of,
    families,
    mixes,
    of_input,
    ranges,
    reads_padding,
    weights_of,
)

# Kernels take channels by fours.
_UNIT = 4


def drop_dead_channels(graph: Graph) -> Graph:
    """The graph with fewer channels; itself when every channel counts.

    Tensors keep their index; weights that become smaller are new ones.
    """
    family_of, known = families(graph), ranges(graph)
    keeps = _keeps(graph, family_of, known)
    if not keeps:
        return graph
    return _Editor(graph, family_of, known, keeps).edited()


def _keeps(
    graph: Graph, family_of: Mapping[int, Family], known: Mapping[int, Range]
) -> dict[int, Mask]:
    """id of a family that loses channels -> which ones it keeps.

    Families are decided from the last to the first: what one leaves out, those before it need not
    compute for it.
    """
    readers: dict[int, list[Node]] = {}
    for node in graph.nodes:
        if mixes(node):
            readers.setdefault(id(family_of[node.inputs[0]]), []).append(node)
    keeps: dict[int, Mask] = {}
    distinct = {id(f): f for f in family_of.values() if f.open}
    for key, family in sorted(distinct.items(), key=lambda item: -item[1].last):
        needed = np.zeros(family.channels, np.bool_)
        for node in readers.get(key, ()):
            out = family_of[node.outputs[0]]
            rows = keeps.get(id(out), np.ones(out.channels, np.bool_))
            columns = _needed_columns(graph, node, known, rows)
            if len(columns) % family.channels:
                needed[:] = True
            else:
                needed |= columns.reshape(-1, family.channels).any(axis=0)
        fixed = _fixed(known, graph.tensors[family.tensors[0]])[: family.channels]
        kept = _rounded(needed, fixed)
        if not kept.all():
            keeps[key] = kept
    return keeps


def _needed_columns(graph: Graph, node: Node, known: Mapping[int, Range], rows: Mask) -> Mask:
    """Which columns of a node's weights its output needs, beside what its bias can take.

    Args:
        rows: Which channels of its output's family are kept.
    """
    output = graph.tensors[node.outputs[0]]
    alive = _repeated(rows, output.shape[-1]) & ~_fixed(known, output)
    read: Mask = (weights_of(graph, node)[alive] != 0).any(axis=(0, 1))
    needed: Mask = read & ~_foldable(node, of_input(graph, node, known))
    return needed


def _foldable(node: Node, source: Range) -> Mask:
    """Columns that add the same to every sum: fixed, and not 0 beyond the border only."""
    if not reads_padding(node):
        return source.fixed
    nothing: Mask = source.fixed & (source.least == node.params.requant.in_zero_point)
    return nothing


def _fixed(known: Mapping[int, Range], tensor: Tensor) -> Mask:
    channels = tensor.shape[-1]
    return known.get(tensor.index, anything(channels)).fixed


def _rounded(needed: Mask, fixed: Mask) -> Mask:
    """`needed` and as many more as make a multiple of `_UNIT`: fixed ones, which cost least."""
    wanted = min(max(-(-int(needed.sum()) // _UNIT), 1) * _UNIT, len(needed))
    order = np.lexsort((np.arange(len(needed)), ~fixed, ~needed))
    kept = np.zeros(len(needed), np.bool_)
    kept[order[:wanted]] = True
    return kept


def _repeated(mask: Mask, channels: int) -> Mask:
    return np.resize(mask, channels)


@dataclass(eq=False)
class _Editor:
    """Writes the smaller graph.

    Attributes:
        keeps: By `id` of a family.
    """

    graph: Graph
    family_of: Mapping[int, Family]
    known: Mapping[int, Range]
    keeps: Mapping[int, Mask]

    def edited(self) -> Graph:
        self._tensors = list(self.graph.tensors)
        for index, family in self.family_of.items():
            if id(family) in self.keeps:
                self._tensors[index] = self._cut(self.graph.tensors[index])
        nodes = tuple(self._node(node) for node in self.graph.nodes)
        return replace(self.graph, tensors=tuple(self._tensors), nodes=nodes)

    def _mask(self, tensor: int, channels: int) -> Mask:
        """Which channels remain of a runtime tensor, or of the columns of weights that meet it."""
        family = self.family_of[tensor]
        kept = self.keeps.get(id(family))
        return np.ones(channels, np.bool_) if kept is None else _repeated(kept, channels)

    def _cut(self, tensor: Tensor) -> Tensor:
        channels = np.flatnonzero(self._mask(tensor.index, tensor.shape[-1])).tolist()
        shape = (*tensor.shape[:-1], len(channels))
        return replace(tensor, shape=shape, kept=Kept(tuple(channels), tensor.shape[-1]))

    def _node(self, node: Node) -> Node:
        around = [i for i in (*node.inputs, *node.outputs) if i in self.family_of]
        if not any(id(self.family_of[i]) in self.keeps for i in around):
            return node
        assert node.options is not None
        inputs = node.inputs
        if mixes(node):
            inputs = self._mixing_inputs(node)
        elif node.op == "DEPTHWISE_CONV_2D":
            inputs = self._depthwise_inputs(node)
        elif node.op in BINARY:
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
        """Fixed channels that are kept come from the bias alone: nothing else is left of some."""
        graph, params = self.graph, node.params
        source = of_input(graph, node, self.known)
        output = graph.tensors[node.outputs[0]]
        columns = self._mask(node.inputs[0], len(source.least))
        rows = self._mask(output.index, output.shape[-1])
        fixed = _fixed(self.known, output)
        weights, bias = weights_of(graph, node), bias_of(graph, node)
        lowest, _ = accumulators(graph, node, source)
        weights[fixed] = 0
        left_out = weights[:, :, ~columns].sum(axis=1)
        share = left_out @ (source.least - params.requant.in_zero_point)[~columns]
        bias = np.where(fixed, lowest, bias + share)[rows]
        stored = weights[rows][:, :, columns] + getattr(params, "weights_zero_point", 0)
        before = graph.tensors[node.inputs[1]]
        shape = (len(stored), *before.shape[1:-1], stored.shape[2])
        kernel = self._constant(before, stored.reshape(shape).astype(np.int8), rows)
        return (node.inputs[0], kernel, self._bias(node, bias, rows))

    def _depthwise_inputs(self, node: Node) -> tuple[int, ...]:
        before = self.graph.tensors[node.inputs[1]]
        assert before.data is not None
        rows = self._mask(node.outputs[0], before.shape[3])
        kernel = self._constant(before, before.data[..., rows], rows)
        bias = bias_of(self.graph, node)[rows]
        return (node.inputs[0], kernel, self._bias(node, bias, rows))

    def _bias(self, node: Node, data: Ints, rows: Mask) -> int:
        """A bias modulo 2**32, as accumulators are."""
        given = self.graph.node_inputs(node)[2] if len(node.inputs) > 2 else None
        if given is None:
            weights = self.graph.tensors[node.inputs[1]]
            assert weights.quantization is not None
            in_scale = self.graph.tensors[node.inputs[0]].scale
            scales = tuple(in_scale * scale for scale in weights.quantization.scales)
            quantization = Quantization(scales, (0,) * len(scales))
            given = Tensor(-1, "", rows.shape, DType.INT32, quantization)
        return self._constant(given, data.astype(np.int32), rows)

    def _operand(self, node: Node, index: int) -> int:
        """A constant operand, without the channels that its partner has lost."""
        tensor = self.graph.tensors[index]
        channels = self.graph.tensors[node.outputs[0]].shape[-1]
        if tensor.data is None or tensor.shape[-1:] != (channels,):
            return index
        kept = self._mask(node.outputs[0], channels)
        return self._constant(tensor, tensor.data[..., kept], kept)

    def _constant(self, before: Tensor, data: Array, rows: Mask) -> int:
        """A new constant in place of another; per-channel scales follow the rows."""
        quantization = before.quantization
        if quantization is not None and len(quantization.scales) == len(rows) > 1:
            index = np.flatnonzero(rows)
            points = quantization.zero_points
            quantization = replace(
                quantization,
                scales=tuple(quantization.scales[i] for i in index),
                zero_points=tuple(points[i] for i in index) if len(points) > 1 else points,
            )
        self._tensors.append(
            Tensor(len(self._tensors), before.name, data.shape, before.dtype, quantization, data)
        )
        return len(self._tensors) - 1
