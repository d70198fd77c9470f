"""Placing buffers with lifetimes into one arena.

This is dynamic storage allocation with known lifetimes: two buffers may share addresses when they
are never alive at once. The problem is NP-hard. The largest live set is a lower bound, and most
networks reach it when each buffer, in order of birth, may stand at either end of the free space of
an arena of exactly that size: a bounded search tries this first. Where it fails, several greedy
orders are tried, each placing a buffer at the lowest address that is free during its life, and
the search again in arenas between the bound and theirs.

A kernel that works from the first pixel to the last may write over what it has read: then its
output trails its input, starting some distance below it. In a chain of such layers each lies lower
than the one before, until there is no room below: see moves.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .search import ALIGNMENT, Offsets, Problem, apart, lowest, places_taken, search

_IMPROVEMENT_ROUNDS = 60
_SEARCH_STEPS = 20_000
_BISECT_STEPS = 4_000
_BISECT_PARTS = 512  # of the arena: a smaller gain is not looked for


def lower_bound(problem: Problem) -> int:
    """Bytes of the largest set of buffers alive at once: no arena can be smaller."""
    buffers = problem.buffers
    shared: dict[int, int] = {}
    for (source, sink), distance in problem.trails.items():
        before, after = buffers[source].size, buffers[sink].size
        both = max(apart(buffers[source], buffers[sink], distance) + before, after)
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


def place(problem: Problem) -> Offsets:
    """An offset for each buffer such that no two living ones overlap but as they may."""
    if not problem.buffers:
        return ()
    bound = lower_bound(problem)
    for upwards in (True, False):
        exact = search(problem, bound, _SEARCH_STEPS, upwards=upwards)
        if exact is not None:
            return exact
    best = greedy(problem, bound)
    return bisect(problem, bound, peak(problem, best)) or best


def greedy(problem: Problem, bound: int) -> Offsets:
    """The best of several orders in which each buffer takes the lowest place.

    Args:
        bound: An arena that need not be improved on.
    """
    buffers, neighbours = problem.buffers, problem.neighbours
    everything = range(len(buffers))
    keys = (
        lambda i: (-buffers[i].size, buffers[i].first),
        lambda i: (buffers[i].first, -buffers[i].size),
        lambda i: (-(buffers[i].size * (buffers[i].last - buffers[i].first + 1)), i),
        lambda i: (-sum(buffers[n.index].size for n in neighbours[i]) - buffers[i].size, i),
    )
    orders = [sorted(everything, key=key) for key in keys]
    placed = [_first_fit(problem, order) for order in orders]
    chosen = min(range(len(orders)), key=lambda k: peak(problem, placed[k]))
    order, best = orders[chosen], placed[chosen]
    for _ in range(_IMPROVEMENT_ROUNDS):
        most = peak(problem, best)
        if most == bound:
            break
        # A buffer at the very top came too late to find room below: let it choose first.
        top = next(i for i in order if best[i] + buffers[i].size == most)
        other = [top, *(i for i in order if i != top)]
        offsets = _first_fit(problem, other)
        if peak(problem, offsets) > most or other == order:
            break
        order, best = other, offsets
    return best


def bisect(
    problem: Problem,
    low: int,
    high: int,
    accept: Callable[[Offsets], bool] = lambda offsets: True,
) -> Offsets | None:
    """A placement in an arena of less than `high` bytes, as near to `low` as a search finds one.

    Args:
        low: A multiple of ALIGNMENT.
        accept: Whether one will do; if not, the next arena tried is larger.
    """
    best = None
    steps = _BISECT_STEPS + 2 * len(problem.buffers)
    high = high // ALIGNMENT * ALIGNMENT
    while high - low > max(ALIGNMENT, high // _BISECT_PARTS):
        middle = (low + high) // 2 // ALIGNMENT * ALIGNMENT
        found = search(problem, middle, steps, upwards=False)
        if found is None or not accept(found):
            low = middle
        else:
            best, high = found, peak(problem, found)
    return best


def peak(problem: Problem, offsets: Sequence[int]) -> int:
    """Bytes of the arena that a placement takes."""
    ends = (o + b.size for o, b in zip(offsets, problem.buffers, strict=True))
    return max(ends, default=0)


def _first_fit(problem: Problem, order: Sequence[int]) -> Offsets:
    offsets = [-1] * len(problem.buffers)
    for i in order:
        taken = places_taken(offsets, problem.neighbours[i])
        offsets[i] = lowest(taken, problem.buffers[i].align)
    return tuple(offsets)
