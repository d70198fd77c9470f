"""The view of a comparison in the terminal: a column an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .report import Report
from .table import left_out_text
from .terminal import BAD, GOOD, SOFT, STRONG, Signs, indented, printable, signs, table

if TYPE_CHECKING:
    from ..compare import Comparison

Figure = Callable[[Report], int | None]


def print_comparison(found: Comparison, to: Console) -> None:
    """What each engine costs, and whether all gave the same outputs."""
    sign, first = signs(to), found.reports[0]
    run_by = first.runner
    title = Text(f"{printable(first.model.name)} on {first.board}", STRONG)
    if run_by:
        title.append(
            f"\n{first.core}, run by {run_by.name} {run_by.version}", f"not {STRONG} {SOFT}"
        )
    to.print(title)
    to.print(indented(_figures(found, sign), above=1))
    for report in found.reports:
        for line in left_out_text(report.left_out):
            to.print(indented(Text(f"{report.engine} ").append(line), above=1))
    if any(layer.instructions is not None for layer in first.layers):
        to.print(indented(_layers(found, sign), above=1))
    to.print(indented(_verdict(found, sign), above=1))


def _figures(found: Comparison, sign: Signs) -> Table:
    """A row a figure; the engine with the least of it is shown in colour."""
    reports = found.reports
    made = table(sign, "", *(report.engine for report in reports), left=("",))
    for name, figure in _FIGURES.items():
        values = [figure(report) for report in reports]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = min(known) if len(set(known)) > 1 else None
        row = [
            Text(sign.dash if v is None else f"{v:,}", GOOD if v is not None and v == best else "")
            for v in values
        ]
        made.add_row(Text(name.format(counter=reports[0].instructions.counter)), *row)
    proofs = [Text(sign.good, GOOD) if _proven(r) else Text(sign.bad, BAD) for r in reports]
    made.add_row(Text("equal to the model"), *proofs)
    return made


def _proven(report: Report) -> bool:
    return report.verify is not None and report.verify.equal


def _layers(found: Comparison, sign: Signs) -> Table:
    """A row an operator of the file."""
    reports = found.reports
    made = table(sign, "#", "operator", *(r.engine for r in reports), left=("operator",))
    for layer in reports[0].layers:
        row = [Text(str(layer.index), SOFT), Text(layer.op)]
        for report in reports:
            count = next(o.instructions for o in report.layers if o.index == layer.index)
            row.append(Text(sign.dash if count is None else f"{count:,}"))
        made.add_row(*row)
    return made


def _verdict(found: Comparison, sign: Signs) -> Text:
    inputs = f"{found.inputs} input{'' if found.inputs == 1 else 's'}"
    if found.outputs_equal == found.inputs:
        line = Text(f"{sign.good} outputs equal", f"{STRONG} {GOOD}")
        return line.append(f"  on {inputs}", f"not {STRONG} default")
    line = Text(f"{sign.bad} outputs differ", f"{STRONG} {BAD}")
    return line.append(f"  on {found.inputs - found.outputs_equal} of {inputs}", "not bold default")


def _memory(name: str) -> Figure:
    return lambda report: getattr(report.memory, name) if report.memory else None


_FIGURES: dict[str, Figure] = {
    "{counter} an inference": lambda report: report.instructions.inference,
    "cycles, estimated": lambda report: report.timing.cycles if report.timing else None,
    "{counter} to start": lambda report: report.instructions.init,
    "RAM bytes": _memory("ram_bytes"),
    "  arena": _memory("arena_bytes"),
    "flash bytes": _memory("flash_bytes"),
    "  model": _memory("weights_bytes"),
    "  code": _memory("code_bytes"),
}
