"""Runs a graph in NumPy, bit for bit as TFLite Micro's reference kernels do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .graph import Array, Graph
from .ops import OPERATORS


def run(graph: Graph, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The model's outputs.

    Args:
        inputs: One array for each of `graph.inputs`, of its shape and dtype.
    """
    values = {tensor: value for _, tensor, value in _computed(graph, inputs)}
    values.update(zip(graph.inputs, inputs, strict=True))
    return tuple(values[t] for t in graph.outputs)


def run_layers(graph: Graph, inputs: Sequence[Array]) -> Mapping[int, Array]:
    """`Node.index` -> its first output."""
    firsts = {node.outputs[0] for node in graph.nodes}
    return {layer: value for layer, t, value in _computed(graph, inputs) if t in firsts}


def _computed(graph: Graph, inputs: Sequence[Array]) -> Iterator[tuple[int, int, Array]]:
    """(layer, tensor, value) of everything the graph computes, in order."""
    values: dict[int, Array] = {t.index: t.data for t in graph.tensors if t.data is not None}
    values.update(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        arguments = [None if i < 0 else values[i] for i in node.inputs]
        results = OPERATORS[node.op].reference(node.params, arguments)
        for tensor, result in zip(node.outputs, results, strict=True):
            values[tensor] = result
            yield node.index, tensor, result
