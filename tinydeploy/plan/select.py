"""Which kernel computes each node on a target."""

from __future__ import annotations

from ..graph import Graph, Node
from ..ops import OPERATORS
from .plan import Kernel, KernelCall, Target


def select_kernel(node: Node, target: Target) -> Kernel:
    """The best kernel that the target has the instructions for and that can do this node.

    `KERNELS` is ordered best first, and its last entry applies to everything that `parse()`
    lets through, so there always is one.
    """
    candidates = OPERATORS[node.op].KERNELS
    for kernel in candidates:
        if kernel.isa in target.isas and kernel.applies(node.params):
            return kernel
    raise AssertionError(f"{node.op} has no kernel that applies to everything")


def lower(graph: Graph, target: Target) -> tuple[KernelCall, ...]:
    """The calls of a graph in execution order; nodes that only rename bytes have none."""
    calls = (
        OPERATORS[node.op].lower(node, graph, select_kernel(node, target))
        for node in graph.nodes
        if OPERATORS[node.op].KERNELS
    )
    return tuple(call for call in calls if call is not None)
