"""Geometry of the pictures on a page: numbers in, shapes of an SVG out; the template draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .evaluation import Estimate, Histogram
from .report import Report
from .terminal import size

_PLAN_WIDTH, _PLAN_HEIGHT = 960.0, 260.0
_PLAN_LEFT, _PLAN_BELOW = 64.0, 22.0
_COLOURS = 4
_GAP = 1.5
_HISTOGRAM_WIDTH, _HISTOGRAM_HEIGHT = 240.0, 84.0
_FRONT_WIDTH, _FRONT_HEIGHT = 440.0, 290.0
_FRONT_LEFT, _FRONT_BELOW, _FRONT_EDGE = 52.0, 40.0, 14.0


@dataclass(frozen=True)
class Box:
    """A rectangle.

    Attributes:
        look: Its CSS class.
        title: What is said when it is pointed at.
        label: What is written into it; "" where there is no room.
    """

    x: float
    y: float
    width: float
    height: float
    look: str = ""
    title: str = ""
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """A tick: where it stands along its axis, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class RamPlan:
    """The arena over time."""

    width: float
    height: float
    left: float
    bottom: float
    boxes: tuple[Box, ...]
    rows: tuple[Mark, ...]
    columns: tuple[Mark, ...]


def ram_plan(report: Report) -> RamPlan | None:
    """A column a layer, from the arena's first byte below to its last above."""
    arena = max((b.offset + b.bytes for b in report.arena), default=0)
    if not arena or not report.layers:
        return None
    columns = len(report.layers)
    wide = (_PLAN_WIDTH - _PLAN_LEFT) / columns
    bottom = _PLAN_HEIGHT - _PLAN_BELOW
    high = (bottom - 8) / arena
    boxes = []
    seen: set[tuple[int, int, int]] = set()
    colour = 0
    for block in report.arena:
        first, last = max(block.first, 0), min(block.last, columns - 1)
        key = (block.offset, block.first, block.last)
        if key in seen or last < first:
            continue  # an alias of what is drawn already
        seen.add(key)
        scratch = block.kind == "scratch"
        width, height = (last - first + 1) * wide, block.bytes * high
        label = size(block.bytes) if width > 62 and height > 15 else ""
        name = "working memory" if scratch else block.name
        boxes.append(
            Box(
                x=_PLAN_LEFT + first * wide,
                y=bottom - (block.offset + block.bytes) * high,
                width=max(width - _GAP, _GAP),
                height=max(height - _GAP, _GAP),
                look="scratch" if scratch else f"c{colour % _COLOURS}",
                title=f"{name}: {block.bytes:,} bytes at {block.offset:,}, "
                f"layers {report.layers[first].index} to {report.layers[last].index}",
                label=label,
            )
        )
        colour += not scratch
    rows = tuple(Mark(bottom - v * high, size(int(v))) for v in _binary_ticks(arena))
    step = max(1, math.ceil(columns / 32))
    marks = tuple(
        Mark(_PLAN_LEFT + (i + 0.5) * wide, str(layer.index))
        for i, layer in enumerate(report.layers)
        if i % step == 0
    )
    return RamPlan(_PLAN_WIDTH, _PLAN_HEIGHT, _PLAN_LEFT, bottom, tuple(boxes), rows, marks)


@dataclass(frozen=True)
class Bars:
    """A histogram."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[float, ...]
    beyond: tuple[Box, ...]


def bars(histogram: Histogram) -> Bars:
    """Bars as high as the square root of their count, so that tails can be seen; the quantisation's
    ends are lines, and what lies beyond them is shaded."""
    width, height = _HISTOGRAM_WIDTH, _HISTOGRAM_HEIGHT
    span = histogram.high - histogram.low or 1.0
    most = max(histogram.counts, default=0) or 1
    one = width / max(len(histogram.counts), 1)
    boxes = tuple(
        Box(i * one, height * (1 - math.sqrt(count / most)), one * 0.86,
            height * math.sqrt(count / most))
        for i, count in enumerate(histogram.counts)
        if count
    )  # fmt: skip
    ends = [e for e in (histogram.clip_low, histogram.clip_high) if e is not None]
    lines = tuple(min(max((e - histogram.low) / span, 0.0), 1.0) * width for e in ends)
    beyond: tuple[Box, ...] = ()
    if len(lines) == 2:
        beyond = (Box(0, 0, lines[0], height), Box(lines[1], 0, width - lines[1], height))
    return Bars(width, height, boxes, lines, tuple(b for b in beyond if b.width > 0.5))


@dataclass(frozen=True)
class Point:
    """A candidate of a search.

    Attributes:
        name: What was done; any text.
        quality: Its accuracy, 0 to 1.
        flash_bytes, ram_bytes, instructions: What it costs; None where it is not known.
        chosen: Whether it is the one that is recommended.
        baseline: Whether it is what the search began with.
    """

    name: str
    quality: float
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: int | None = None
    chosen: bool = False
    baseline: bool = False


@dataclass(frozen=True)
class Dot:
    """A point of a front's picture."""

    x: float
    y: float
    look: str
    title: str
    label: str


@dataclass(frozen=True)
class Front:
    """Quality against one cost."""

    width: float
    height: float
    left: float
    bottom: float
    cost: str
    dots: tuple[Dot, ...]
    path: str
    rows: tuple[Mark, ...]
    columns: tuple[Mark, ...]


def fronts(points: Sequence[Point]) -> tuple[Front, ...]:
    """A picture for each cost that is known of two points or more."""
    made = []
    for cost, attribute in (
        ("flash", "flash_bytes"),
        ("RAM", "ram_bytes"),
        ("instructions", "instructions"),
    ):
        known = [(p, c) for p in points if (c := getattr(p, attribute)) is not None]
        if len(known) > 1:
            made.append(_front(cost, known))
    return tuple(made)


def _front(cost: str, known: Sequence[tuple[Point, int]]) -> Front:
    bottom, right = _FRONT_HEIGHT - _FRONT_BELOW, _FRONT_WIDTH - _FRONT_EDGE
    costs, qualities = [c for _, c in known], [p.quality for p, _ in known]
    low, high = _widened(min(costs), max(costs), 0.08)
    least, most = _widened(min(qualities), max(qualities), 0.12)

    def x(value: float) -> float:
        return _FRONT_LEFT + (value - low) / (high - low) * (right - _FRONT_LEFT)

    def y(value: float) -> float:
        return bottom - (value - least) / (most - least) * (bottom - _FRONT_EDGE)

    best = _best(known)

    def shown(value: int) -> str:
        return f"{value:,}" if cost == "instructions" else size(value)

    dots = []
    for p, c in known:
        look = "chosen" if p.chosen else "base" if p.baseline else "best" if p in best else "other"
        label = p.name if p.chosen or p.baseline else ""
        dots.append(Dot(x(c), y(p.quality), look, f"{p.name}: {p.quality:.2%}, {shown(c)}", label))
    corners: list[tuple[float, float]] = []
    for p, c in sorted(((p, c) for p, c in known if p in best), key=lambda pair: pair[1]):
        if corners:
            corners.append((x(c), corners[-1][1]))
        corners.append((x(c), y(p.quality)))
    path = "M" + " L".join(f"{a:.1f} {b:.1f}" for a, b in corners)
    ticks = _ticks(low, high) if cost == "instructions" else _binary_ticks(high, low)
    return Front(
        width=_FRONT_WIDTH,
        height=_FRONT_HEIGHT,
        left=_FRONT_LEFT,
        bottom=bottom,
        cost=cost,
        dots=tuple(dots),
        path=path,
        rows=tuple(Mark(y(v), f"{100 * v:.4g}%") for v in _ticks(least, most)),
        columns=tuple(
            Mark(x(v), short(v) if cost == "instructions" else size(int(v))) for v in ticks
        ),
    )


def _best(known: Sequence[tuple[Point, int]]) -> list[Point]:
    """Those that nobody beats: none is cheaper and at least as good."""
    best: list[Point] = []
    for p, _ in sorted(known, key=lambda pair: (pair[1], -pair[0].quality)):
        if not best or p.quality > best[-1].quality:
            best.append(p)
    return best


@dataclass(frozen=True)
class Span:
    """An estimate on an axis, in per cent of its length."""

    at: float
    left: float
    width: float


@dataclass(frozen=True)
class Scale:
    """An axis that all estimates given fit on."""

    low: float
    high: float

    def span(self, estimate: Estimate) -> Span:
        low, at, high = (self._place(v) for v in (estimate.low, estimate.value, estimate.high))
        return Span(at, low, max(high - low, 0.4))

    def _place(self, value: float) -> float:
        if not math.isfinite(value):
            value = self.low
        return 100 * min(max((value - self.low) / ((self.high - self.low) or 1), 0.0), 1.0)


def scale_of(estimates: Sequence[Estimate], *, share: bool) -> Scale:
    """An axis for estimates of one kind; of shares, one that ends at 1."""
    values = [v for e in estimates for v in (e.low, e.value, e.high) if math.isfinite(v)]
    if not values:
        return Scale(0.0, 1.0)
    low, high = _widened(min(values), max(values), 0.1)
    if not share:
        return Scale(max(low, 0.0), high)
    for floor in (0.98, 0.95, 0.9, 0.8, 0.5):
        if low >= floor:
            return Scale(floor, 1.0)
    return Scale(0.0, 1.0)


def short(value: float) -> str:
    """A large number in few characters: "3.6 M"."""
    for unit, of in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= of:
            return f"{value / of:.3g} {unit}"
    return f"{value:g}"


def _widened(low: float, high: float, by: float) -> tuple[float, float]:
    margin = (high - low) * by or abs(high) * by or 0.5
    return low - margin, high + margin


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between the two."""
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _binary_ticks(high: float, low: float = 0.0, about: int = 5) -> list[float]:
    """Round numbers of bytes between the two."""
    raw = (high - low) / about
    step = 2.0 ** math.ceil(math.log2(raw)) if raw >= 1 else 1.0
    first = math.ceil(low / step)
    return [i * step for i in range(max(first, 0), math.floor(high / step) + 1)]
