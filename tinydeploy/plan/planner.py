"""Graph -> Plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..graph import Graph
from .memory import lower_bound, peak, place
from .moves import Placed, place_moving
from .plan import KernelCall, Optimize, Placement, Plan, Target, Trail
from .search import ALIGNMENT, Buffer, Problem, round_up
from .select import lower
from .strips import in_strips

# Multiply-accumulates for each byte that may be moved: that is half a per cent of instructions.
_MACS_A_BYTE = 64
# For less than one part of so many of the arena nothing is moved.
_LEAST_GAIN = 8
_MOST_RUNS = 3  # of layers in strips


def make_plan(graph: Graph, target: Target) -> Plan:
    """Chooses kernels and places every runtime tensor and every scratch in one arena.

    Args:
        graph: After transforms.
        target: Instruction sets and what to optimise for.
    """
    calls = lower(graph, target)
    macs = sum(call.macs for call in calls)
    budget, least_gain = macs // _MACS_A_BYTE, _LEAST_GAIN
    if target.optimize is not Optimize.SPEED:
        calls = tuple(_with_scratch_of(call, 0) for call in calls)
    if target.optimize is Optimize.RAM:
        calls = _with_strips(graph, target, calls)
        budget, least_gain = macs, 4 * _LEAST_GAIN
    owner = _share_memory(graph, calls)
    problem, tensors = _problem(graph, calls, owner)
    placed = place_moving(problem, budget, least_gain)

    def placement(position: int) -> Placement:
        b = problem.buffers[position]
        return Placement(placed.offsets[position], b.bytes, b.first, b.last)

    by_owner = {tensor: placement(i) for i, tensor in enumerate(tensors)}
    with_scratch = [i for i, call in enumerate(calls) if call.scratch_bytes]
    scratch = {call: placement(len(tensors) + i) for i, call in enumerate(with_scratch)}
    moved = {
        problem.buffers[i].last: replace(placement(i), offset=offset, first=problem.buffers[i].last)
        for i, offset in placed.moved.items()
    }
    places = [*by_owner.values(), *scratch.values(), *moved.values()]
    ends = (place.offset + round_up(place.bytes, ALIGNMENT) for place in places)
    arena_bytes = max(ends, default=0)
    calls = _in_free_memory(calls, scratch, _stays(problem, placed, len(tensors)), arena_bytes)
    return Plan(
        graph=graph,
        target=target,
        calls=calls,
        placements={tensor: by_owner[o] for tensor, o in owner.items()},
        moved=tuple(moved.get(i) for i in range(len(calls))),
        scratch=tuple(scratch.get(i) for i in range(len(calls))),
        arena_bytes=arena_bytes,
        lower_bound_bytes=lower_bound(problem),
    )


def _with_strips(
    graph: Graph, target: Target, calls: tuple[KernelCall, ...]
) -> tuple[KernelCall, ...]:
    """Splits the layers that the arena is largest for, as often as that makes it smaller."""

    def bytes_of(calls: tuple[KernelCall, ...], enough: int) -> int:
        problem = placement_problem(graph, calls)
        bound = lower_bound(problem)
        return enough if bound >= enough else peak(problem, place(problem))

    for _ in range(_MOST_RUNS):
        other = in_strips(graph, target, calls, _widest(graph, calls), bytes_of)
        if other is calls:
            break
        calls = other
    return calls


def _widest(graph: Graph, calls: tuple[KernelCall, ...]) -> int:
    """The position of the call that reads and writes most."""
    sizes = [sum(graph.tensors[t].bytes for t in (*c.inputs, *c.outputs)) for c in calls]
    return max(range(len(calls)), key=sizes.__getitem__, default=0)


def placement_problem(graph: Graph, calls: tuple[KernelCall, ...]) -> Problem:
    """What is to be placed for these calls: tensors, in the order of their birth, then scratch."""
    return _problem(graph, calls, _share_memory(graph, calls))[0]


def _problem(
    graph: Graph, calls: tuple[KernelCall, ...], owner: dict[int, int]
) -> tuple[Problem, list[int]]:
    """(what is to be placed, the tensors that its first buffers are)."""
    lifetimes = _lifetimes(graph, calls, owner)
    trails = _trails(calls, owner, lifetimes)
    tensors = list(lifetimes)
    position_of = {tensor: i for i, tensor in enumerate(tensors)}
    aligned = _alignments(trails)
    buffers = [
        Buffer(graph.tensors[t].bytes, *lifetimes[t], aligned.get(t, ALIGNMENT)) for t in tensors
    ]
    buffers += [Buffer(c.scratch_bytes, i, i) for i, c in enumerate(calls) if c.scratch_bytes]
    distances = {(position_of[a], position_of[b]): t.bytes for (a, b), t in trails.items()}
    return Problem(buffers, distances), tensors


def _stays(problem: Problem, placed: Placed, tensors: int) -> list[Placement]:
    """Where each of the first `tensors` buffers is, and when; twice for one that is moved."""
    stays = []
    for i, b in enumerate(problem.buffers[:tensors]):
        last = b.last
        if i in placed.moved:
            stays.append(Placement(placed.moved[i], b.bytes, last, last))
            last -= 1
        stays.append(Placement(placed.offsets[i], b.bytes, b.first, last))
    return stays


def _in_free_memory(
    calls: tuple[KernelCall, ...],
    scratch: dict[int, Placement],
    stays: list[Placement],
    arena_bytes: int,
) -> tuple[KernelCall, ...]:
    """Calls that gain from it, with all the scratch that is free; moves `scratch` there."""
    grown = list(calls)
    for position, at in scratch.items():
        if calls[position].in_memory is None:
            continue
        alive = [t for t in stays if t.first <= position <= t.last]
        offset, free_bytes = _largest_gap(alive, arena_bytes)
        with_more = _with_scratch_of(calls[position], free_bytes)
        scratch[position] = replace(at, offset=offset, bytes=with_more.scratch_bytes)
        grown[position] = replace(with_more, scratch_bytes=at.bytes)
    return tuple(grown)


def _with_scratch_of(call: KernelCall, free_bytes: int) -> KernelCall:
    """The call with all the scratch that it gains from and that is free, or the least."""
    if call.in_memory is None:
        return call
    fields, scratch_bytes = call.in_memory(free_bytes)
    return replace(call, fields={**call.fields, **fields}, scratch_bytes=scratch_bytes)


def _largest_gap(taken: Sequence[Placement], arena_bytes: int) -> tuple[int, int]:
    """(offset, bytes) of the longest free part of the arena."""
    offset = free_bytes = end = 0
    for stay in sorted((*taken, Placement(arena_bytes, 0, 0, 0)), key=lambda p: p.offset):
        if stay.offset - end > free_bytes:
            offset, free_bytes = end, stay.offset - end
        end = max(end, round_up(stay.offset + stay.bytes, ALIGNMENT))
    return offset, free_bytes


def _share_memory(graph: Graph, calls: tuple[KernelCall, ...]) -> dict[int, int]:
    """Runtime tensor -> the tensor whose memory it lives in.

    Nodes without a call rename their input's bytes; a call that allows it writes over an input
    that nobody reads afterwards.
    """
    computed = {call.layer for call in calls}
    within = {part.call.layer for call in calls for part in call.parts if part.call} - computed
    parent: dict[int, int] = {t: t for t in graph.inputs}
    for node in graph.nodes:
        for output in node.outputs if node.index not in within else ():
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
    calls: tuple[KernelCall, ...], owner: dict[int, int], lifetimes: dict[int, tuple[int, int]]
) -> dict[tuple[int, int], Trail]:
    """(input, output), owning tensors that may overlap: inputs that nobody reads afterwards."""
    found: dict[tuple[int, int], Trail] = {}
    for position, call in enumerate(calls):
        for trail in call.trails:
            before, after = owner[call.inputs[trail.source]], owner[call.outputs[trail.sink]]
            reads = sum(owner[t] == before for t in call.inputs)
            ends = lifetimes[before][1] == position == lifetimes[after][0]
            if before != after and reads == 1 and ends and len(call.inputs) == 1:
                found[before, after] = trail
    return found


def _alignments(trails: dict[tuple[int, int], Trail]) -> dict[int, int]:
    """Tensor -> what its offset must be a multiple of, so that every distance is one."""
    found: dict[int, int] = {}
    for pair, trail in trails.items():
        for tensor in pair:
            found[tensor] = math.lcm(found.get(tensor, ALIGNMENT), trail.multiple)
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
