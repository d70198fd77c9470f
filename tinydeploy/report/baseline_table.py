"""A comparison with a baseline, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from .baseline import FIGURES, Change, Comparison
from .terminal import BAD, GOOD, SOFT, printable, signs, table

_COLOURS = {"grew": BAD, "shrank": GOOD, "within": "", "equal": SOFT}


def print_comparison(comparison: Comparison, to: Console) -> None:
    """What changed, figure by figure; then problems and notes."""
    sign = signs(to)
    changed = [change for change in comparison.changes if change.verdict != "equal"]
    if changed:
        made = table(sign, "model", "board", "", "baseline", "now", "change", "",
                     left=("model", "board", ""), wrap="model")  # fmt: skip
        for change in changed:
            made.add_row(
                Text(printable(change.build.model)),
                Text(printable(change.build.board)),
                Text(FIGURES[change.figure]),
                Text(f"{change.before:,}"),
                Text(f"{change.now:,}"),
                Text(_share(change)),
                Text(change.verdict, _COLOURS[change.verdict]),
            )
        to.print(made)
    same = len(comparison.changes) - len(changed)
    to.print(Text(f"{same} of {len(comparison.changes)} figures are as they were", SOFT))
    for problem in comparison.problems:
        to.print(Text(f"{sign.bad} {printable(problem, 300)}", BAD), soft_wrap=True)
    for note in comparison.notes:
        to.print(Text(f"! {printable(note, 300)}", "yellow"), soft_wrap=True)


def _share(change: Change) -> str:
    if not change.before:
        return f"{change.now - change.before:+,}"
    return f"{(change.now - change.before) / change.before:+.2%}"
