"""The Pareto picture of a search: a self-contained SVG, and a PNG where matplotlib is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..files import write_whole
from . import pictures
from .pictures import Front
from .search import Search
from .terminal import printable

_LOOKS = {
    "chosen": ("#1a7f37", 5.0),
    "base": ("#9a6700", 5.0),
    "best": ("#0969da", 5.0),
    "other": ("#8c959f", 4.0),
}
_GAP, _ABOVE, _BELOW = 28.0, 64.0, 28.0
_LABEL_CHARS = 30
_TITLES = (("flash", "flash_bytes"), ("RAM", "ram_bytes"), ("instructions", "instructions"))


def points(search: Search) -> tuple[pictures.Point, ...]:
    """A search's points as pictures have them: those with a quality, each file once.

    A metric that is no share of one is shown against the float model's, which is 100%.
    """
    return tuple(
        pictures.Point(
            name=p.name,
            quality=_shown(search, p.quality),
            flash_bytes=p.flash_bytes,
            ram_bytes=p.ram_bytes,
            instructions=p.instructions,
            chosen=p.number == search.chosen,
            baseline=p.number == 0,
        )
        for p in search.points
        if p.quality is not None and p.same_as is None
    )


def _shown(search: Search, value: float) -> float:
    if search.share:
        return value
    ratio = (value, search.float_quality)[:: 1 if search.higher else -1]
    return ratio[0] / ratio[1] if ratio[1] else 0.0


def title(search: Search) -> str:
    """What the picture shows."""
    metric = search.metric if search.share else f"float model's {search.metric}, as a share,"
    return f"{printable(search.model)} on {search.board}: {metric} against cost"


def svg(search: Search) -> str:
    """The fronts of flash, RAM and instructions side by side; "" where nothing ran."""
    fronts = pictures.fronts(points(search))
    if not fronts:
        return ""
    width = sum(f.width for f in fronts) + _GAP * (len(fronts) + 1)
    height = max(f.height for f in fronts) + _ABOVE + _BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title(search))}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_GAP:.0f}" y="28" font-size="16" font-weight="600" fill="#1f2328">'
        f"{escape(title(search))}</text>",
        _caption(search),
    ]
    left = _GAP
    for front in fronts:
        parts.append(f'<g transform="translate({left:.1f} {_ABOVE:.1f})">{_front(front)}</g>')
        left += front.width + _GAP
    return "\n".join([*parts, "</svg>", ""])


def _caption(search: Search) -> str:
    x, parts = _GAP, []
    for look, word in (("chosen", "chosen"), ("base", "int8 as it is"), ("best", "on the front"),
                       ("other", "others")):  # fmt: skip
        colour, radius = _LOOKS[look]
        parts.append(f'<circle cx="{x + 5:.0f}" cy="46" r="{radius}" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16:.0f}" y="50" fill="#59636e">{word}</text>')
        x += 26 + 7.0 * len(word) + 14
    value = _figure(search, search.limit)
    parts.append(f'<text x="{x:.0f}" y="50" fill="#59636e">holds from {value}</text>')
    return "".join(parts)


def _front(front: Front) -> str:
    right = front.width
    parts = [
        f'<text x="{front.left:.1f}" y="4" font-weight="600" fill="#1f2328">{front.cost}</text>'
    ]
    for row in front.rows:
        parts.append(
            f'<line x1="{front.left:.1f}" x2="{right:.1f}" y1="{row.at:.1f}" y2="{row.at:.1f}" '
            f'stroke="#d1d9e0"/><text x="{front.left - 8:.1f}" y="{row.at + 4:.1f}" '
            f'text-anchor="end" fill="#59636e">{escape(row.label)}</text>'
        )
    for column in front.columns:
        parts.append(
            f'<text x="{column.at:.1f}" y="{front.bottom + 18:.1f}" text-anchor="middle" '
            f'fill="#59636e">{escape(column.label)}</text>'
        )
    parts.append(
        f'<path d="{front.path}" fill="none" stroke="#0969da" stroke-width="2" opacity="0.6"/>'
    )
    drawn = sorted(front.dots, key=lambda dot: list(_LOOKS)[::-1].index(dot.look))
    for dot in drawn:
        colour, radius = _LOOKS[dot.look]
        if dot.look == "chosen":
            parts.append(
                f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="9" fill="none" stroke="{colour}" '
                'stroke-width="2"/>'
            )
        parts.append(
            f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{radius}" fill="{colour}">'
            f"<title>{escape(printable(dot.title, 200))}</title></circle>"
        )
    for dot in front.dots:
        if dot.look == "chosen":
            colour, _ = _LOOKS["chosen"]
            end = dot.x > front.width * 0.6
            parts.append(
                f'<text x="{dot.x + (-14 if end else 14):.1f}" y="{dot.y + 18:.1f}" '
                f'text-anchor="{"end" if end else "start"}" font-weight="600" fill="{colour}">'
                f"{escape(printable(dot.label, _LABEL_CHARS))}</text>"
            )
    return "".join(parts)


def _figure(search: Search, value: float) -> str:
    return f"{value:.2%}" if search.share else f"{value:.4g}"


# ---- matplotlib -----------------------------------------------------------------------------


def has_matplotlib() -> bool:
    """Whether a PNG can be drawn."""
    return importlib.util.find_spec("matplotlib") is not None


def check_matplotlib() -> None:
    """Refuses a PNG where matplotlib is missing.

    Raises:
        RequestError: It is not installed.
    """
    if not has_matplotlib():
        raise RequestError("PNG pictures are drawn by matplotlib", "pip install 'tinydeploy[plot]'")


def write_png(search: Search, path: Path) -> None:
    """The same picture by matplotlib.

    Raises:
        RequestError: It is not installed, or the file cannot be written.
    """
    check_matplotlib()
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(15, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title(search))
    shown = [p for p in search.points if p.quality is not None and p.same_as is None]
    for number, (name, attribute) in enumerate(_TITLES):
        axes = figure.add_subplot(1, 3, number + 1)
        _scatter(axes, search, [p for p in shown if getattr(p, attribute) is not None], attribute)
        axes.set_xlabel(name if name == "instructions" else f"{name}, KiB")
        axes.set_ylabel(search.metric)
        axes.locator_params(axis="x", nbins=5)
        if name == "instructions":
            axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
        if search.share:
            axes.yaxis.set_major_formatter(lambda value, position: f"{value:.1%}")
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_whole(path, buffer.getvalue(), "--png")


def _scatter(axes: Any, search: Search, shown: Sequence[Any], attribute: str) -> None:
    by = 1 if attribute == "instructions" else 1024
    for point in shown:
        look = "other"
        if point.number == search.chosen:
            look = "chosen"
        elif point.number == 0:
            look = "base"
        elif point.on_front:
            look = "best"
        colour, radius = _LOOKS[look]
        axes.scatter(
            getattr(point, attribute) / by,
            point.quality,
            s=radius**2 * 2,
            color=colour,
            zorder=5 if look == "chosen" else 3,
        )
    values = [getattr(p, attribute) / by for p in shown]
    for point in (p for p in shown if p.number == search.chosen):
        value = getattr(point, attribute) / by
        left = value <= (min(values) + max(values)) / 2  # where there is room for its name
        axes.annotate(
            printable(point.name, _LABEL_CHARS).replace("$", r"\$"),
            (value, point.quality),
            textcoords="offset points",
            xytext=(8 if left else -8, -12),
            ha="left" if left else "right",
            color=_LOOKS["chosen"][0],
        )
    axes.axhline(search.limit, color=_LOOKS["base"][0], linestyle="--", linewidth=1)
