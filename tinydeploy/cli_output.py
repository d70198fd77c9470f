"""What verbs print, and the reports that they write."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .build import BuildRequest
    from .pipeline import Built, Publish
    from .report.report import Report


def publisher(
    request: BuildRequest, junit: Path | None, html: Path | None, as_json: bool
) -> Publish:
    """Writes a report to all the places that were asked for."""
    from .report import junit as xml
    from .report import report as r
    from .steps import REPORT

    def publish(report: Report) -> None:
        r.write(report, request.folder / REPORT)
        if junit:
            xml.write(report, junit)
        if html:
            from .report.html import write as write_page

            write_page(report, html)
        if as_json:
            click.echo(r.to_json(report), nl=False)

    return publish


def progress(as_json: bool) -> Any:
    """Shows on stderr what is being done; nothing with --json."""
    from .report.progress import Progress

    return Progress(silent=as_json)


def show_build(built: Built) -> None:
    from .report.table import print_build
    from .report.terminal import console

    print_build(built.report, console())


def show_proof(report: Report, *, layers: bool) -> None:
    from .report.table import print_layers, print_verify
    from .report.terminal import console

    if layers:
        print_layers(report, console())
    print_verify(report, console())


def show_profile(report: Report) -> None:
    from .report.cost_table import print_profile
    from .report.terminal import console

    print_profile(report, console())


def show_next(request: BuildRequest, *command: str) -> None:
    """What was written, and what to type next."""
    shown = os.path.relpath(request.folder)
    click.echo(f"\nwrote {shown}/firmware.elf, {shown}/report.json")
    click.echo(f"next: {shlex.join(command)}")


def print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))
