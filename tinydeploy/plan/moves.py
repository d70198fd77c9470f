"""Inputs that are moved up before a call, so that its output finds room below them.

In a chain of layers whose outputs trail, each lies lower than the one before, until there is no
room below. There an input is moved to the other end of the arena, which then need be no larger
than the largest live set and a few distances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .memory import bisect, lower_bound, peak, place
from .search import Buffer, Offsets, Problem


@dataclass(frozen=True)
class Placed:
    """A placement.

    Attributes:
        offsets: Of each buffer, where it is written.
        moved: Buffer -> where it is moved to before its last call, which reads it there.
    """

    offsets: Offsets
    moved: Mapping[int, int] = field(default_factory=dict)


def place_moving(problem: Problem, budget_bytes: int, least_gain: int) -> Placed:
    """Places all buffers, and moves those that are worth it.

    Args:
        budget_bytes: How much may be moved in all.
        least_gain: Nothing is moved for less than one part of so many of the arena.
    """
    still = place(problem)
    bound, most = lower_bound(problem), peak(problem, still)
    most -= most // least_gain
    if bound > most or not problem.trails:
        return Placed(still)
    finer = _with_copies(problem)

    def affordable(offsets: Offsets) -> bool:
        moved = (c for c, original in finer.copies.items() if offsets[c] != offsets[original])
        return sum(finer.buffers[c].size for c in moved) <= budget_bytes

    found = bisect(finer, bound, most, affordable)
    if found is None:
        return Placed(still)
    copies = {original: found[c] for c, original in finer.copies.items()}
    return Placed(
        found[: len(problem.buffers)],
        {original: offset for original, offset in copies.items() if offset != found[original]},
    )


def _with_copies(problem: Problem) -> Problem:
    """The same in half calls: in the first of them, inputs whose output trails are copied."""
    buffers = [replace(b, first=2 * b.first + 1, last=2 * b.last + 1) for b in problem.buffers]
    copies: dict[int, int] = {}
    trails: dict[tuple[int, int], int] = {}
    for (source, sink), distance in problem.trails.items():
        moment = 2 * problem.buffers[sink].first
        buffer = buffers[source]
        copies[len(buffers)] = source
        trails[len(buffers), sink] = distance
        buffers[source] = replace(buffer, last=moment)
        buffers.append(Buffer(buffer.bytes, moment, moment + 1, buffer.align))
    return Problem(buffers, trails, copies)
