"""`tinydeploy flash`: a firmware into a board's flash."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from .cli_options import BUILD_OPTIONS, FIRMWARE, build_request, runner_for
from .cli_output import progress, publisher, show_proof
from .errors import InputError


@click.command(short_help="Write a firmware into a board's flash.")
@BUILD_OPTIONS
@FIRMWARE
@click.option("--tool", metavar="NAME", help="Default: the first of the board's.")
@click.option("--probe", default="", metavar="ID",
              help="Which of several: a probe's serial number, a port, a drive.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the commands; write only their files.")
@click.option("--and-verify", is_flag=True, help="Then verify on the board: needs a model.")
@click.option("--port", metavar="PORT", help="For --and-verify; as of verify.")
def flash(
    model: Path,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    tool: str | None,
    probe: str,
    dry_run: bool,
    and_verify: bool,
    port: str | None,
    **options: Any,
) -> None:
    """Write a firmware into a board's flash: MODEL, or an ELF that is built already."""
    from . import boards, flashing, pipeline

    request = build_request(model, **options)
    board = boards.load(request.board, request.board_folders)
    is_elf = flashing.is_elf(model)
    if and_verify and (is_elf or dry_run or not request.answers_verify):
        what = "an ELF" if is_elf else "--dry-run" if dry_run else "firmware of another kind"
        raise InputError(f"--and-verify cannot be with {what}", "it is for a model, a .tflite file")
    if and_verify and port is None and board.usb is None:
        raise InputError(f"{board.name} has no USB port of its own", "name one: --port PORT")
    publish = publisher(request, junit, html, as_json and and_verify)
    with progress(as_json) as status:
        built = None if is_elf else pipeline.build(request, publish, status.line)
        elf = built.firmware.elf if built else model
        job = flashing.prepare(elf, board, tool, probe)
        if dry_run:
            click.echo(job.to_json() if as_json else job.script)
            return
        flashing.write(job, status.line)
    if not as_json:
        click.echo(job.told)
    if built and and_verify:
        runner = runner_for("serial", port, None) or "serial"
        with progress(as_json) as status:
            report = pipeline.prove_flashed(built, runner, publish, status.count)
        publish(report)
        if not as_json:
            show_proof(report, layers=False)
        if report.outcome != "verified":
            raise pipeline.differs(report)
    elif as_json:
        click.echo(job.to_json())
    elif built and request.answers_verify:
        shown = shlex.quote(str(model))
        click.echo(f"next: tinydeploy verify {shown} --board {board.name} --on serial")
