"""The Pareto front of a search's points, and which of them to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...report.search import COSTS, Point

# Some instructions or bytes more or less are no reason to take the worse model.
_AS_CHEAP = 1.01
_WORDS = {
    "instructions": "instructions",
    "ram_bytes": "bytes of RAM",
    "flash_bytes": "bytes of flash",
}


def on_front(points: Sequence[Point], *, higher: bool) -> tuple[Point, ...]:
    """The points, those marked that no other beats: as good in everything, better in something."""
    running = [p for p in points if p.runs and p.same_as is None]
    keys = {p.number: _key(p, higher) for p in running}
    best = {
        p.number
        for p in running
        if not any(_beats(keys[q.number], keys[p.number]) for q in running)
    }
    return tuple(replace(p, on_front=p.number in best) for p in points)


def _key(point: Point, higher: bool) -> tuple[float, ...]:
    """Smaller is better in each place."""
    quality = point.quality or 0.0
    costs = [float(getattr(point, name) or 0) for name in COSTS]
    return (-quality if higher else quality, *costs)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def choose(points: Sequence[Point], cheapest: str, *, higher: bool) -> tuple[int | None, str]:
    """The point to take, and why.

    Args:
        points: See `on_front()`; those hold that may be taken.
        cheapest: The cost that counts first. Points within one per cent of the least in it count
            as equal, and so on with the other costs; then quality and closeness decide.
        higher: Whether more quality is better.
    """
    holding = [p for p in points if p.holds and p.same_as is None]
    if not holding:
        return None, _none_holds(points, higher)
    left = holding
    for name in (cheapest, *(name for name in COSTS if name != cheapest)):
        least = min(_cost(p, name) for p in left)
        left = [p for p in left if _cost(p, name) <= least * _AS_CHEAP]
    best = min(left, key=lambda p: (_key(p, higher)[0], p.error or 0.0, p.number))
    reason = f"{best.name}: {_why(best, len(holding), len(left), cheapest)}"
    dearer = [p for p in holding if _cost(p, cheapest) > _cost(best, cheapest) * _AS_CHEAP]
    if dearer:
        following = min(dearer, key=lambda p: _cost(p, cheapest))
        more = _cost(following, cheapest) / max(1, _cost(best, cheapest))
        shown = f"{more - 1:.1%} more" if more < 2 else f"{more:.1f} times as many"
        reason += f"; the next cheapest, {following.name}, needs {shown}"
    return best.number, reason


def _why(best: Point, holding: int, alike: int, cheapest: str) -> str:
    price = f"{_cost(best, cheapest):,} {_WORDS[cheapest]}"
    if holding == 1:
        return f"the only point that holds, with {price}"
    reason = f"of the {holding} points that hold, {price} are the fewest"
    if alike > 1:
        reason += (
            f" within 1%, as of {alike - 1} more; of those it is the best, and of equally good "
            "ones the closest to the float model"
        )
    return reason


def _cost(point: Point, name: str) -> int:
    return int(getattr(point, name) or 0)


def _none_holds(points: Sequence[Point], higher: bool) -> str:
    running = [p for p in points if p.runs and p.same_as is None]
    if not running:
        return "no trial ran on the board"
    best = min(running, key=lambda p: _key(p, higher)[0])
    return f"no point holds; the best is {best.name}"
