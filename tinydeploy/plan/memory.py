"""Placing buffers with lifetimes into one arena.

This is dynamic storage allocation with known lifetimes: two buffers may share addresses when they
are never alive at once. The problem is NP-hard. The largest live set is a lower bound, and most
networks reach it when each buffer, in order of birth, may stand at either end of the free space of
an arena of exactly that size: a bounded search tries this first. Where it fails, several greedy
orders are tried, each placing a buffer at the lowest address that is free during its life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 8
_IMPROVEMENT_ROUNDS = 60
_SEARCH_STEPS = 20_000


@dataclass(frozen=True)
class Buffer:
    """Something to be placed: `bytes` > 0, alive from call `first` to call `last` inclusive."""

    bytes: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Its bytes, rounded up to the arena's alignment."""
        return -(-self.bytes // ALIGNMENT) * ALIGNMENT

    def overlaps(self, other: Buffer) -> bool:
        """Whether both are alive at some moment."""
        return self.first <= other.last and other.first <= self.last


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes of the largest set of buffers alive at once: no arena can be smaller."""
    events: dict[int, int] = {}
    for buffer in buffers:
        events[buffer.first] = events.get(buffer.first, 0) + buffer.size
        events[buffer.last + 1] = events.get(buffer.last + 1, 0) - buffer.size
    alive = largest = 0
    for moment in sorted(events):
        alive += events[moment]
        largest = max(largest, alive)
    return largest


def place(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """An offset for each buffer, multiples of ALIGNMENT, such that no two living ones overlap."""
    if not buffers:
        return ()
    bound = lower_bound(buffers)
    neighbours = _neighbours(buffers)
    exact = _search(buffers, neighbours, bound)
    if exact is not None:
        return exact
    everything = range(len(buffers))
    keys = (
        lambda i: (-buffers[i].size, buffers[i].first),
        lambda i: (buffers[i].first, -buffers[i].size),
        lambda i: (-(buffers[i].size * (buffers[i].last - buffers[i].first + 1)), i),
        lambda i: (-sum(buffers[j].size for j in neighbours[i]) - buffers[i].size, i),
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


def _neighbours(buffers: Sequence[Buffer]) -> list[list[int]]:
    """For each buffer, those alive at the same time: a sweep over lifetimes, not all pairs."""
    neighbours: list[list[int]] = [[] for _ in buffers]
    alive: list[int] = []
    for i in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        alive = [j for j in alive if buffers[j].last >= buffers[i].first]
        for j in alive:
            neighbours[i].append(j)
            neighbours[j].append(i)
        alive.append(i)
    return neighbours


def _taken(
    buffers: Sequence[Buffer], offsets: Sequence[int], neighbours: Sequence[int]
) -> list[tuple[int, int]]:
    """What placed neighbours occupy, as (begin, end) in order of address."""
    return sorted((offsets[j], offsets[j] + buffers[j].size) for j in neighbours if offsets[j] >= 0)


def _lowest(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The lowest offset with `size` free bytes."""
    offset = 0
    for begin, end in taken:
        if begin - offset >= size:
            break
        offset = max(offset, end)
    return offset


def _highest(taken: Sequence[tuple[int, int]], size: int, capacity: int) -> int:
    """The highest offset with `size` free bytes below `capacity`; negative when there is none."""
    end = capacity
    for begin, finish in sorted(taken, key=lambda t: -t[1]):
        if end - finish >= size:
            break
        end = min(end, begin)
    return end - size


def _search(
    buffers: Sequence[Buffer], neighbours: Sequence[Sequence[int]], capacity: int
) -> tuple[int, ...] | None:
    """A placement within `capacity`, found by depth-first search over both ends of the gaps."""
    order = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size))
    offsets = [-1] * len(buffers)
    choices: list[list[int]] = []  # for each depth, the offsets still to be tried
    for _ in range(_SEARCH_STEPS):
        depth = len(choices)
        if depth == len(order):
            return tuple(offsets)
        i = order[depth]
        taken = _taken(buffers, offsets, neighbours[i])
        ends = {
            _lowest(taken, buffers[i].size),
            _highest(taken, buffers[i].size, capacity),
        }
        choices.append(sorted(o for o in ends if 0 <= o <= capacity - buffers[i].size))
        while not choices[-1]:
            choices.pop()
            if not choices:
                return None
            offsets[order[len(choices) - 1]] = -1
        offsets[order[len(choices) - 1]] = choices[-1].pop(0)
    return None


def _first_fit(
    buffers: Sequence[Buffer], neighbours: Sequence[Sequence[int]], order: Sequence[int]
) -> list[int]:
    offsets = [-1] * len(buffers)
    for i in order:
        offsets[i] = _lowest(_taken(buffers, offsets, neighbours[i]), buffers[i].size)
    return offsets


def _peak(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    return max(offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True))
