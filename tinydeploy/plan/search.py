"""Where buffers can stand in an arena, and a bounded search for a placement of a given size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

ALIGNMENT = 8


@dataclass(frozen=True)
class Buffer:
    """Something to be placed: `bytes` > 0, alive from call `first` to call `last` inclusive.

    Its offset must be a multiple of `align`, itself a multiple of ALIGNMENT.
    """

    bytes: int
    first: int
    last: int
    align: int = ALIGNMENT

    @property
    def size(self) -> int:
        """Its bytes, rounded up to the arena's alignment."""
        return round_up(self.bytes, ALIGNMENT)

    def overlaps(self, other: Buffer) -> bool:
        """Whether both are alive at some moment."""
        return self.first <= other.last and other.first <= self.last


# (input, output), as positions in a list of buffers -> how far below the input the output must
# start to lie over it. The input's last call is the output's first.
Trails = Mapping[tuple[int, int], int]


Offsets = tuple[int, ...]


def round_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _down(size: int, unit: int) -> int:
    return size // unit * unit


def apart(source: Buffer, sink: Buffer, distance: int) -> int:
    """The least distance that offsets of theirs can have."""
    return round_up(distance, math.gcd(source.align, sink.align))


@dataclass(frozen=True)
class Neighbour:
    """A buffer alive at the same time: one's own start keeps these distances from its start."""

    index: int
    below: int
    above: int


@dataclass(frozen=True)
class Problem:
    """What is to be placed.

    Attributes:
        buffers: All of it.
        trails: Pairs that may overlap as it says.
        copies: Buffer -> the one that it is a copy of: it lies over it in any way, not below it,
            and best in the same place, where nothing is copied.
    """

    buffers: Sequence[Buffer]
    trails: Trails = field(default_factory=dict)
    copies: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def neighbours(self) -> Sequence[Sequence[Neighbour]]:
        """For each buffer, those alive at the same time: a sweep over lifetimes, not all pairs."""
        buffers, trails = self.buffers, self.trails
        neighbours: list[list[Neighbour]] = [[] for _ in buffers]
        alive: list[int] = []
        for i in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
            alive = [j for j in alive if buffers[j].last >= buffers[i].first]
            for j in alive:
                if self.copies.get(i) == j:
                    continue
                size, other = buffers[i].size, buffers[j].size
                if (j, i) in trails:
                    size = min(size, apart(buffers[j], buffers[i], trails[j, i]))
                neighbours[i].append(Neighbour(j, below=size, above=other))
                neighbours[j].append(Neighbour(i, below=other, above=size))
            alive.append(i)
        return neighbours


def places_taken(offsets: Sequence[int], neighbours: Sequence[Neighbour]) -> list[tuple[int, int]]:
    """Where a buffer cannot start because of placed neighbours: between, in order of the first."""
    return sorted(
        (offsets[n.index] - n.below, offsets[n.index] + n.above)
        for n in neighbours
        if offsets[n.index] >= 0
    )


def lowest(taken: Sequence[tuple[int, int]], align: int) -> int:
    """The lowest offset where a buffer can start."""
    offset = 0
    for begin, end in taken:
        if offset <= begin:
            break
        offset = max(offset, round_up(end, align))
    return offset


def _highest(taken: Sequence[tuple[int, int]], highest: int, align: int) -> int:
    """The highest offset, up to `highest`; negative when there is none."""
    offset = _down(highest, align)
    for begin, end in sorted(taken, key=lambda t: -t[1]):
        if offset >= end:
            break
        offset = min(offset, _down(begin, align))
    return offset


def search(problem: Problem, capacity: int, steps: int, *, upwards: bool) -> Offsets | None:
    """A placement within `capacity`, found by depth-first search over both ends of the gaps.

    Args:
        steps: How many buffers it may place before it gives up.
        upwards: Whether it tries low offsets first.
    """
    buffers = problem.buffers
    order = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size))
    offsets = [-1] * len(buffers)
    choices: list[list[int]] = []  # for each depth, the offsets still to be tried
    for _ in range(steps):
        depth = len(choices)
        if depth == len(order):
            return tuple(offsets)
        choices.append(_choices(problem, order[depth], offsets, capacity, upwards=upwards))
        while not choices[-1]:
            choices.pop()
            if not choices:
                return None
            offsets[order[len(choices) - 1]] = -1
        offsets[order[len(choices) - 1]] = choices[-1].pop(0)
    return None


def _choices(
    problem: Problem, i: int, offsets: Sequence[int], capacity: int, *, upwards: bool
) -> list[int]:
    """Where buffer `i` may stand, best first."""
    buffer, neighbours = problem.buffers[i], problem.neighbours[i]
    taken = places_taken(offsets, neighbours)
    align, highest = buffer.align, capacity - buffer.size
    low, high = lowest(taken, align), _highest(taken, highest, align)
    ends = {low, high}
    if not upwards:
        begins = (_down(begin, align) for begin, _ in taken)
        ends |= {begin for begin in begins if _fits(begin, taken)}
    found = sorted((o for o in ends if 0 <= o <= highest), reverse=not upwards)
    # Away from the ends it leaves room for what comes, such as an output that trails.
    later = {n.below for n in neighbours if offsets[n.index] < 0}
    later |= {n.above for n in neighbours if offsets[n.index] < 0}
    inner = {round_up(low + size, align) for size in later} | {
        _down(high - s, align) for s in later
    }
    found += sorted(o for o in inner - ends if 0 <= o <= highest and _fits(o, taken))
    original = offsets[problem.copies[i]] if i in problem.copies else -1
    if original >= 0:
        stays = [original] if original <= highest and _fits(original, taken) else []
        found = [*stays, *(o for o in found if o > original)]
    return found


def _fits(offset: int, taken: Sequence[tuple[int, int]]) -> bool:
    return all(offset <= begin or offset >= end for begin, end in taken)
