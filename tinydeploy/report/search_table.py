"""Views of a search and of a sensitivity analysis in the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .search import Point, Search
from .terminal import BAD, GOOD, SOFT, STRONG, Signs, indented, printable, signs, size, table

if TYPE_CHECKING:
    from ..quantize.sensitivity import Analysis

_WORST_SHOWN = 8


def print_search(search: Search, to: Console) -> None:
    """The trials, the layers that hurt, and what to take."""
    sign = signs(to)
    to.print(_title(search))
    to.print(indented(_points(search, sign), above=1))
    failed = [p for p in search.points if p.message]
    if failed:
        to.print()
    for point in failed:
        text = f"! {printable(point.name)}: {printable(point.message, 200)}"
        to.print(Text(text, "yellow"), soft_wrap=True)
    to.print()
    to.print(_verdict(search, sign), soft_wrap=True)


def figure(search: Search, value: float | None) -> str:
    """A quality for people: "98.2%" or "0.0123"."""
    if value is None:
        return "-"
    return f"{value:.2%}" if search.share else f"{value:.4g}"


def _title(search: Search) -> Text:
    float_is = f"{search.metric} of the float model {figure(search, search.float_quality)}"
    word = "at least" if search.higher else "at most"
    return Text.assemble(
        (f"{printable(search.model)} on {search.board}\n", STRONG),
        (f"{float_is} on {search.samples:,} samples; holds with {word} ", SOFT),
        (figure(search, search.limit), SOFT),
    )


def _points(search: Search, sign: Signs) -> Table:
    made = table(sign, "#", "recipe", search.metric, "error", "flash", "RAM", "instr", "",
                 left=("recipe", ""), wrap="recipe")  # fmt: skip
    for p in search.points:
        if p.outcome != "done":
            made.add_row(Text(str(p.number), SOFT), Text(printable(p.name)),
                         *[sign.dash] * 5, Text(p.outcome, BAD))  # fmt: skip
            continue
        if p.same_as is not None:
            made.add_row(Text(str(p.number), SOFT), Text(printable(p.name), SOFT),
                         *[""] * 5, Text(f"= {p.same_as}", SOFT))  # fmt: skip
            continue
        count = sign.dash if p.instructions is None else f"{p.instructions:,}"
        made.add_row(
            Text(str(p.number), SOFT),
            Text(printable(p.name, 120), STRONG if p.number == search.chosen else ""),
            Text(figure(search, p.quality), "" if p.holds else SOFT),
            Text(f"{p.error:.3g}" if p.error is not None else sign.dash, SOFT),
            Text(size(p.flash_bytes)),
            Text(size(p.ram_bytes)),
            Text(count),
            _mark(search, p, sign),
        )
    return made


def _mark(search: Search, point: Point, sign: Signs) -> Text:
    if point.number == search.chosen:
        return Text(f"{sign.good} take", GOOD)
    if not point.runs:
        return Text("planned" if point.flash_bytes else "", SOFT)
    return Text("front" if point.on_front else "", SOFT)


def _verdict(search: Search, sign: Signs) -> Text:
    good = search.chosen is not None
    mark = Text(f"{sign.good if good else sign.bad} ", GOOD if good else BAD)
    return mark.append(printable(search.reason, 400))


# ---- Sensitivity ----------------------------------------------------------------------------


def print_analysis(analysis: Analysis, to: Console) -> None:
    """A row a layer, and which to begin with."""
    sign = signs(to)
    labelled = analysis.whole.correct is not None
    judges = sorted({s.judge.partition(" ")[0] for x in analysis.layers
                     for s in (x.alone, x.all_but)})  # fmt: skip
    whole = analysis.whole
    told = f"error {whole.error:.3g}"
    if whole.correct is not None:
        told += f", accuracy {whole.correct / whole.samples:.1%} of {whole.samples}"
    to.print(Text("quantised as a whole: ", STRONG).append(told))
    to.print(Text(f"mixed models computed by {' and '.join(judges)}, the inside by "
                  f"{analysis.debugger.partition(' ')[0]}", SOFT))  # fmt: skip
    heads = ["#", "operator", "alone", "all but", *(["right"] if labelled else []),
             "RMSE", "dB", "worst", "clipped"]  # fmt: skip
    made = table(sign, *heads, left=("operator",), wrap="operator")
    for x in analysis.layers:
        row = [str(x.layer.index), x.layer.op, f"{x.alone.error:.1e}", f"{x.all_but.error:.1e}"]
        if labelled:
            row.append(f"{(x.alone.correct or 0) / x.alone.samples:.1%}")
        if x.inside is None:
            row += [sign.dash] * 4
        else:
            inside = x.inside
            worst = sign.dash
            if inside.worst_channel >= 0:
                worst = f"{inside.worst_channel}: {_db(inside.worst_snr_db)}"
            row += [f"{inside.rmse_steps:.2f}", _db(inside.snr_db), worst,
                    f"{inside.saturated:.2%}"]  # fmt: skip
        made.add_row(*map(Text, row))
    to.print(indented(made, above=1))
    worst_first = [f"{x.layer.index} {x.layer.op}" for x in analysis.ranked()[:_WORST_SHOWN]]
    legend = (
        "alone, all but: mean squared error against the float model with only this layer "
        f"quantised, and with only this one in float{'; right: accuracy alone' if labelled else ''}"
        ". Inside the whole: RMSE in steps of the scale (rounding is 0.29), signal to noise in dB, "
        "the worst channel and its dB, the share of values beyond the range."
    )
    to.print()
    to.print(Text(legend, SOFT))
    to.print()
    to.print(Text("most harmful first: " + ", ".join(worst_first), SOFT), soft_wrap=True)


def _db(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "exact"
