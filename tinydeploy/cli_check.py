"""`tinydeploy check`: what firmware takes, against a committed baseline."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .errors import InputError, RequestError

if TYPE_CHECKING:
    from .report.baseline import Comparison

_FILE = click.Path(path_type=Path)


@click.command(short_help="Compare sizes and instructions with a committed baseline.")
@click.argument("baseline", type=_FILE)
@click.argument("reports", type=_FILE, nargs=-1)
@click.option("--update", is_flag=True, help="Write BASELINE from its reports, and from REPORTS.")
@click.option("--tolerance", type=click.FloatRange(0, 1000), default=0.0, show_default=True,
              metavar="PERCENT", help="How much a figure may grow.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(
    baseline: Path, reports: tuple[Path, ...], update: bool, tolerance: float, as_json: bool
) -> None:
    """Compare reports with BASELINE; sizes or instructions that grew end in exit code 1.

    BASELINE is a JSON file to commit. It names the reports that it was made from, relative to its
    own folder: build and verify first, as when it was made.
    """
    from .report import baseline as b

    if update:
        written = b.update(baseline, reports)
        if not as_json:
            click.echo(f"wrote {baseline}: {len(written.builds)} builds")
            click.echo(f"next: git add {shlex.quote(str(baseline))}")
        return
    if reports:
        raise InputError(
            f"{baseline} names its reports itself",
            f"tinydeploy check {baseline} --update {reports[0]}",
        )
    found = b.compare(baseline, tolerance / 100)
    if as_json:
        click.echo(found.to_json())
    else:
        from .report.baseline_table import print_comparison
        from .report.terminal import console

        print_comparison(found, console())
    if not found.passed:
        raise RequestError(_verdict(found, baseline), _hint(found, baseline))


def _verdict(found: Comparison, baseline: Path) -> str:
    parts = []
    if found.grown:
        parts.append(f"{found.grown} of {len(found.changes)} figures grew beyond {baseline}")
    if found.problems:
        parts.append(f"reports that cannot be compared: {len(found.problems)}")
    return ", ".join(parts)


def _hint(found: Comparison, baseline: Path) -> str:
    return f"if that is meant: tinydeploy check {baseline} --update" if found.grown else ""
