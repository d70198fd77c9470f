"""Graph -> Plan."""

from __future__ import annotations

from ..graph import Graph
from .memory import Buffer, lower_bound, place
from .plan import KernelCall, Placement, Plan, Target
from .select import lower


def make_plan(graph: Graph, target: Target) -> Plan:
    """Chooses kernels and places every runtime tensor and every scratch in one arena.

    Args:
        graph: After transforms.
        target: Instruction sets and what to optimise for.
    """
    calls = lower(graph, target)
    owner = _share_memory(graph, calls)
    lifetimes = _lifetimes(graph, calls, owner)

    tensors = list(lifetimes)
    buffers = [Buffer(graph.tensors[t].bytes, *lifetimes[t]) for t in tensors]
    with_scratch = [i for i, call in enumerate(calls) if call.scratch_bytes]
    buffers += [Buffer(calls[i].scratch_bytes, i, i) for i in with_scratch]
    trails = _trails(calls, owner, tensors, buffers)
    offsets = place(buffers, trails)

    def placement(position: int) -> Placement:
        b = buffers[position]
        return Placement(offsets[position], b.bytes, b.first, b.last)

    by_owner = {tensor: placement(i) for i, tensor in enumerate(tensors)}
    scratch = {call: placement(len(tensors) + i) for i, call in enumerate(with_scratch)}
    return Plan(
        graph=graph,
        target=target,
        calls=calls,
        placements={tensor: by_owner[o] for tensor, o in owner.items()},
        scratch=tuple(scratch.get(i) for i in range(len(calls))),
        arena_bytes=max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0),
        lower_bound_bytes=lower_bound(buffers, trails),
    )


def _share_memory(graph: Graph, calls: tuple[KernelCall, ...]) -> dict[int, int]:
    """Runtime tensor -> the tensor whose memory it lives in.

    Nodes without a call rename their input's bytes; a call that allows it writes over an input
    that nobody reads afterwards.
    """
    computed = {call.layer for call in calls}
    parent: dict[int, int] = {t: t for t in graph.inputs}
    for node in graph.nodes:
        for output in node.outputs:
            parent[output] = output if node.index in computed else node.inputs[0]

    def owner(tensor: int) -> int:
        while parent[tensor] != tensor:
            parent[tensor] = parent[parent[tensor]]
            tensor = parent[tensor]
        return tensor

    last_read: dict[int, int] = {}
    for position, call in enumerate(calls):
        for tensor in call.inputs:
            last_read[owner(tensor)] = position
    for tensor in graph.outputs:
        last_read[owner(tensor)] = len(calls)

    for position, call in enumerate(calls):
        for source, sink in call.in_place:
            before, after = owner(call.inputs[source]), owner(call.outputs[sink])
            reads = sum(owner(t) == before for t in call.inputs)
            fits = graph.tensors[before].bytes >= graph.tensors[after].bytes
            if last_read[before] == position and reads == 1 and fits:
                parent[after] = before
                last_read[before] = last_read.get(after, position)
                break
    return {tensor: owner(tensor) for tensor in parent}


def _trails(
    calls: tuple[KernelCall, ...],
    owner: dict[int, int],
    tensors: list[int],
    buffers: list[Buffer],
) -> dict[tuple[int, int], int]:
    """Which buffers may overlap, as `memory.Trails`: inputs that nobody reads afterwards."""
    position_of = {tensor: i for i, tensor in enumerate(tensors)}
    found: dict[tuple[int, int], int] = {}
    for position, call in enumerate(calls):
        for source, sink, distance in call.trails:
            before = position_of[owner[call.inputs[source]]]
            after = position_of[owner[call.outputs[sink]]]
            reads = sum(position_of[owner[t]] == before for t in call.inputs)
            ends = buffers[before].last == position == buffers[after].first
            if before != after and reads == 1 and ends:
                found[before, after] = distance
    return found


def _lifetimes(
    graph: Graph, calls: tuple[KernelCall, ...], owner: dict[int, int]
) -> dict[int, tuple[int, int]]:
    """Owning tensor -> (first, last) position in `calls`, inclusive."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}

    def touch(tensor: int, position: int) -> None:
        home = owner[tensor]
        first[home] = min(first.get(home, position), position)
        last[home] = max(last.get(home, position), position)

    for tensor in graph.inputs:
        touch(tensor, -1)
    for position, call in enumerate(calls):
        for tensor in (*call.inputs, *call.outputs):
            touch(tensor, position)
    for tensor in graph.outputs:
        touch(tensor, len(calls))
    return {tensor: (first[tensor], last[tensor]) for tensor in first}
