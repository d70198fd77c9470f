"""Graph -> Plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..graph import Graph
from .memory import ALIGNMENT, Buffer, lower_bound, place
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
    places = [Placement(o, b.bytes, b.first, b.last) for o, b in zip(offsets, buffers, strict=True)]
    arena_bytes = max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0)

    by_owner = dict(zip(tensors, places, strict=False))
    scratch = dict(zip(with_scratch, places[len(tensors) :], strict=True))
    calls = _in_free_memory(calls, scratch, list(by_owner.values()), arena_bytes)
    return Plan(
        graph=graph,
        target=target,
        calls=calls,
        placements={tensor: by_owner[o] for tensor, o in owner.items()},
        scratch=tuple(scratch.get(i) for i in range(len(calls))),
        arena_bytes=arena_bytes,
        lower_bound_bytes=lower_bound(buffers, trails),
    )


def _in_free_memory(
    calls: tuple[KernelCall, ...],
    scratch: dict[int, Placement],
    tensors: list[Placement],
    arena_bytes: int,
) -> tuple[KernelCall, ...]:
    """The calls that gain from it with all the scratch that is free; moves `scratch` there."""
    grown = list(calls)
    for position, place in scratch.items():
        call = calls[position]
        if call.in_memory is None:
            continue
        alive = [t for t in tensors if t.first <= position <= t.last]
        offset, free_bytes = _largest_gap(alive, arena_bytes)
        grown[position] = call.in_memory(call, free_bytes)
        scratch[position] = replace(place, offset=offset, bytes=grown[position].scratch_bytes)
    return tuple(grown)


def _largest_gap(taken: Sequence[Placement], arena_bytes: int) -> tuple[int, int]:
    """(offset, bytes) of the longest free part of the arena."""
    offset = free_bytes = end = 0
    for place in sorted((*taken, Placement(arena_bytes, 0, 0, 0)), key=lambda p: p.offset):
        if place.offset - end > free_bytes:
            offset, free_bytes = end, place.offset - end
        end = max(end, -(-(place.offset + place.bytes) // ALIGNMENT) * ALIGNMENT)
    return offset, free_bytes


def _share_memory(graph: Graph, calls: tuple[KernelCall, ...]) -> dict[int, int]:
    """Runtime tensor -> the tensor whose memory it lives in.

    Nodes without a call rename their input's bytes; a call that allows it writes over an input
    that nobody reads afterwards.
    """
    computed = {call.layer for call in calls}
    owner: dict[int, int] = {t: t for t in graph.inputs}
    for node in graph.nodes:
        for output in node.outputs:
            renamed = node.index not in computed
            owner[output] = owner[node.inputs[0]] if renamed else output

    last_read: dict[int, int] = {}
    for position, call in enumerate(calls):
        for tensor in call.inputs:
            last_read[owner[tensor]] = position
    for tensor in graph.outputs:
        last_read[owner[tensor]] = len(calls)

    for position, call in enumerate(calls):
        for source, sink in call.in_place:
            before, after = owner[call.inputs[source]], owner[call.outputs[sink]]
            reads = sum(owner[t] == before for t in call.inputs)
            fits = graph.tensors[before].bytes >= graph.tensors[after].bytes
            if last_read[before] == position and reads == 1 and fits:
                owner = {t: before if o == after else o for t, o in owner.items()}
                last_read[before] = last_read.get(after, position)
                break
    return owner


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
