"""Computes before the build what depends on constants alone."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph
from ..ops import OPERATORS


def fold_constants(graph: Graph) -> Graph:
    """The graph without nodes whose every input is a constant: their outputs become constants.

    What the user reads stays computed: the model's outputs are runtime tensors.
    """
    tensors = list(graph.tensors)
    kept = []
    for node in graph.nodes:
        inputs = [None if i < 0 else tensors[i].data for i in node.inputs]
        present = [tensors[i].is_constant for i in node.inputs if i >= 0]
        if not all(present) or any(t in graph.outputs for t in node.outputs):
            kept.append(node)
            continue
        results = OPERATORS[node.op].reference(node.params, inputs)
        for tensor, data in zip(node.outputs, results, strict=True):
            tensors[tensor] = replace(tensors[tensor], data=data)
    if len(kept) == len(graph.nodes):
        return graph
    return replace(graph, tensors=tuple(tensors), nodes=tuple(kept))
