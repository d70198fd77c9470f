"""Which kernel computes each node on a target."""

from __future__ import annotations

from ..graph import Graph, Node
from ..ops import OPERATORS
from .plan import Kernel, KernelCall, Optimize, Target

# A borrowed kernel may take several times as long: for this part of the work it does not matter.
_LITTLE = 32


def select_kernel(node: Node, target: Target) -> Kernel:
    """The best kernel that the target has the instructions for and that can do this node.

    `KERNELS` is ordered best first, and its last entry applies to everything that `parse()`
    lets through, so there always is one.
    """
    candidates = [k for k in OPERATORS[node.op].KERNELS if _fits(k, node, target)]
    if not candidates:
        raise AssertionError(f"{node.op} has no kernel that applies to everything")
    small = target.optimize is Optimize.SIZE
    own = (k for k in candidates if not k.borrowed and not (small and k.large))
    return next(own, candidates[0])


def _fits(kernel: Kernel, node: Node, target: Target) -> bool:
    return kernel.isa in target.isas and kernel.applies(node.params)


def lower(graph: Graph, target: Target) -> tuple[KernelCall, ...]:
    """The calls of a graph in execution order; nodes that only rename bytes have none."""
    nodes = [node for node in graph.nodes if OPERATORS[node.op].KERNELS]
    made = [OPERATORS[n.op].lower(n, graph, select_kernel(n, target)) for n in nodes]
    if target.optimize is Optimize.SIZE:
        made = _share_kernels(graph, target, nodes, made)
    return tuple(call for call in made if call is not None)


def _share_kernels(
    graph: Graph, target: Target, nodes: list[Node], made: list[KernelCall | None]
) -> list[KernelCall | None]:
    """Does with other operators' kernels what would need one of its own for little work."""
    there = {call.kernel.name for call in made if call is not None}
    shared = list(made)
    for i, node in enumerate(nodes):
        for kernel in OPERATORS[node.op].KERNELS:
            if kernel.borrowed and kernel.name in there and _fits(kernel, node, target):
                shared[i] = OPERATORS[node.op].lower(node, graph, kernel)
                break
    macs = [call.macs if call else 0 for call in made]
    borrowing = sum(m for m, a, b in zip(macs, made, shared, strict=True) if a is not b)
    return shared if borrowing * _LITTLE <= sum(macs) else made
