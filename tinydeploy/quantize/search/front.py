"""The Pareto front of a search's points, and which of them to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...report.search import COSTS, Point

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
        cheapest: The cost that counts first; the others break ties.
        higher: Whether more quality is better.
    """
    holding = [p for p in points if p.holds and p.same_as is None]
    if not holding:
        return None, _none_holds(points, higher)
    order = [cheapest, *(name for name in COSTS if name != cheapest)]

    def rank(p: Point) -> tuple[float, ...]:
        key = _key(p, higher)
        return (*(float(getattr(p, name) or 0) for name in order), key[0], p.error or 0.0)

    ranked = sorted(holding, key=rank)
    best = ranked[0]
    price = int(getattr(best, cheapest) or 0)
    reason = (
        f"{best.name}: of {len(holding)} points that hold it needs the fewest {_WORDS[cheapest]}, "
        f"{price:,}"
    )
    others = [p for p in ranked[1:] if getattr(p, cheapest) == price]
    if others:
        reason += f" (as {len(others)} others, which need more otherwise or are less close)"
    elif len(ranked) > 1:
        more = int(getattr(ranked[1], cheapest) or 0)
        reason += f"; the next ({ranked[1].name}) needs {more / price - 1:+.1%}"
    return best.number, reason


def _none_holds(points: Sequence[Point], higher: bool) -> str:
    running = [p for p in points if p.runs and p.same_as is None]
    if not running:
        return "no trial ran on the board"
    best = min(running, key=lambda p: _key(p, higher)[0])
    return f"no point holds; the best is {best.name}"
