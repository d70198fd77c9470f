"""Placing buffers with lifetimes into one arena.

This is dynamic storage allocation with known lifetimes: two buffers may share addresses when they
are never alive at once. The problem is NP-hard. The largest live set is a lower bound, and most
networks reach it when each buffer, in order of birth, may stand at either end of the free space of
an arena of exactly that size: a bounded search tries this first. Where it fails, several greedy
orders are tried, each placing a buffer at the lowest address that is free during its life.

A kernel that works from the first pixel to the last may write over what it has read: then its
output trails its input, starting some distance below it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 8
_IMPROVEMENT_ROUNDS = 60
_SEARCH_STEPS = 20_000
_BISECT_STEPS = 4_000
_BISECT_PARTS = 512  # of the arena: a smaller gain is not looked for


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
        return _up(self.bytes, ALIGNMENT)

    def overlaps(self, other: Buffer) -> bool:
        """Whether both are alive at some moment."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class _Neighbour:
    """A buffer alive at the same time: one's own start keeps these distances from its start."""

    index: int
    below: int
    above: int


# (input, output), as positions in a list of buffers -> how far below the input the output must
# start to lie over it. The input's last call is the output's first.
Trails = Mapping[tuple[int, int], int]


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _down(size: int, unit: int) -> int:
    return size // unit * unit


def _apart(source: Buffer, sink: Buffer, distance: int) -> int:
    """The least distance that offsets of theirs can have."""
    return _up(distance, math.gcd(source.align, sink.align))


def lower_bound(buffers: Sequence[Buffer], trails: Trails | None = None) -> int:
    """Bytes of the largest set of buffers alive at once: no arena can be smaller."""
    shared: dict[int, int] = {}
    for (source, sink), distance in (trails or {}).items():
        before, after = buffers[source].size, buffers[sink].size
        both = max(_apart(buffers[source], buffers[sink], distance) + before, after)
        moment = buffers[sink].first
        shared[moment] = shared.get(moment, 0) + max(0, before + after - both)
    events: dict[int, int] = {}
    for buffer in buffers:
        events[buffer.first] = events.get(buffer.first, 0) + buffer.size
        events[buffer.last + 1] = events.get(buffer.last + 1, 0) - buffer.size
    alive = largest = 0
    for moment in sorted(events):
        alive += events[moment]
        largest = max(largest, alive - shared.get(moment, 0))
    return largest


def place(buffers: Sequence[Buffer], trails: Trails | None = None) -> tuple[int, ...]:
    """An offset for each buffer, multiples of ALIGNMENT, such that no two living ones overlap.

    Args:
        trails: Pairs that may overlap as it says.
    """
    if not buffers:
        return ()
    bound = lower_bound(buffers, trails)
    neighbours = _neighbours(buffers, trails or {})
    for upwards in (True, False):
        exact = _search(buffers, neighbours, bound, _SEARCH_STEPS, upwards=upwards)
        if exact is not None:
            return exact
    best = _greedy(buffers, neighbours, bound)
    return _bisect(buffers, neighbours, bound, best) if trails else best


def _greedy(
    buffers: Sequence[Buffer], neighbours: Sequence[Sequence[_Neighbour]], bound: int
) -> tuple[int, ...]:
    everything = range(len(buffers))
    keys = (
        lambda i: (-buffers[i].size, buffers[i].first),
        lambda i: (buffers[i].first, -buffers[i].size),
        lambda i: (-(buffers[i].size * (buffers[i].last - buffers[i].first + 1)), i),
        lambda i: (-sum(buffers[n.index].size for n in neighbours[i]) - buffers[i].size, i),
    )
    best_order: list[int] = []
    best: list[int] = []
    best_peak = -1
    for key in keys:
        order = sorted(everything, key=key)
        offsets = _first_fit(buffers, neighbours, order)
        peak = _peak(buffers, offsets)
        if best_peak < 0 or peak < best_peak:
            best_order, best, best_peak = order, offsets, peak
    for _ in range(_IMPROVEMENT_ROUNDS):
        if best_peak == bound:
            break
        # A buffer at the very top came too late to find room below: let it choose first.
        top = next(i for i in best_order if best[i] + buffers[i].size == best_peak)
        order = [top, *(i for i in best_order if i != top)]
        offsets = _first_fit(buffers, neighbours, order)
        peak = _peak(buffers, offsets)
        if peak > best_peak or order == best_order:
            break
        best_order, best, best_peak = order, offsets, peak
    return tuple(best)


def _neighbours(buffers: Sequence[Buffer], trails: Trails) -> list[list[_Neighbour]]:
    """For each buffer, those alive at the same time: a sweep over lifetimes, not all pairs."""
    neighbours: list[list[_Neighbour]] = [[] for _ in buffers]
    alive: list[int] = []
    for i in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        alive = [j for j in alive if buffers[j].last >= buffers[i].first]
        for j in alive:
            size, other = buffers[i].size, buffers[j].size
            if (j, i) in trails:
                size = min(size, _apart(buffers[j], buffers[i], trails[j, i]))
            neighbours[i].append(_Neighbour(j, below=size, above=other))
            neighbours[j].append(_Neighbour(i, below=other, above=size))
        alive.append(i)
    return neighbours


def _taken(offsets: Sequence[int], neighbours: Sequence[_Neighbour]) -> list[tuple[int, int]]:
    """Where a buffer cannot start because of placed neighbours: between, in order of the first."""
    return sorted(
        (offsets[n.index] - n.below, offsets[n.index] + n.above)
        for n in neighbours
        if offsets[n.index] >= 0
    )


def _lowest(taken: Sequence[tuple[int, int]], align: int) -> int:
    """The lowest offset where a buffer can start."""
    offset = 0
    for begin, end in taken:
        if offset <= begin:
            break
        offset = max(offset, _up(end, align))
    return offset


def _highest(taken: Sequence[tuple[int, int]], highest: int, align: int) -> int:
    """The highest offset, up to `highest`; negative when there is none."""
    offset = _down(highest, align)
    for begin, end in sorted(taken, key=lambda t: -t[1]):
        if offset >= end:
            break
        offset = min(offset, _down(begin, align))
    return offset


def _search(
    buffers: Sequence[Buffer],
    neighbours: Sequence[Sequence[_Neighbour]],
    capacity: int,
    steps: int,
    *,
    upwards: bool,
) -> tuple[int, ...] | None:
    """A placement within `capacity`, found by depth-first search over both ends of the gaps.

    Args:
        steps: How many buffers it may place before it gives up.
        upwards: Whether it tries low offsets first.
    """
    order = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size))
    offsets = [-1] * len(buffers)
    choices: list[list[int]] = []  # for each depth, the offsets still to be tried
    for _ in range(steps):
        depth = len(choices)
        if depth == len(order):
            return tuple(offsets)
        i = order[depth]
        taken = _taken(offsets, neighbours[i])
        align, highest = buffers[i].align, capacity - buffers[i].size
        ends = {_lowest(taken, align), _highest(taken, highest, align)}
        if not upwards:
            begins = (_down(begin, align) for begin, _ in taken)
            ends |= {begin for begin in begins if _fits(begin, taken)}
        choices.append(sorted((o for o in ends if 0 <= o <= highest), reverse=not upwards))
        while not choices[-1]:
            choices.pop()
            if not choices:
                return None
            offsets[order[len(choices) - 1]] = -1
        offsets[order[len(choices) - 1]] = choices[-1].pop(0)
    return None


def _fits(offset: int, taken: Sequence[tuple[int, int]]) -> bool:
    return all(offset <= begin or offset >= end for begin, end in taken)


def _bisect(
    buffers: Sequence[Buffer],
    neighbours: Sequence[Sequence[_Neighbour]],
    bound: int,
    best: tuple[int, ...],
) -> tuple[int, ...]:
    """A placement in a smaller arena. A chain of outputs that trail needs more than its largest
    live set: each link lies lower than the one before."""
    low, high = bound, _peak(buffers, best)
    steps = _BISECT_STEPS + 2 * len(buffers)
    while high - low > max(ALIGNMENT, high // _BISECT_PARTS):
        middle = (low + high) // 2 // ALIGNMENT * ALIGNMENT
        found = _search(buffers, neighbours, middle, steps, upwards=False)
        if found is None:
            low = middle
        else:
            best, high = found, _peak(buffers, found)
    return best


def _first_fit(
    buffers: Sequence[Buffer], neighbours: Sequence[Sequence[_Neighbour]], order: Sequence[int]
) -> list[int]:
    offsets = [-1] * len(buffers)
    for i in order:
        offsets[i] = _lowest(_taken(offsets, neighbours[i]), buffers[i].align)
    return offsets


def _peak(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    return max(offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True))
