"""Drops what nobody reads."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node


def drop_dead_code(graph: Graph) -> Graph:
    """The graph without the nodes that none of its outputs depends on.

    Tensors stay, so that indices do; the graph itself when nothing is dropped.
    """
    read = set(graph.outputs)
    alive: list[Node] = []
    for node in reversed(graph.nodes):
        if not read.isdisjoint(node.outputs):
            alive.append(node)
            read.update(node.inputs)
    if len(alive) == len(graph.nodes):
        return graph
    return replace(graph, nodes=tuple(reversed(alive)))
