"""`tinydeploy new`: a project to start from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from . import settings

_FILE = click.Path(path_type=Path)

_folders = click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
_tflm_root = click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the paths as JSON.")


@click.group()
def new() -> None:
    """Start a project."""


@new.command("app")
@click.argument("folder", type=_FILE, metavar="DIR")
@click.option("--model", required=True, type=_FILE, metavar="FILE", help="A .tflite file.")
@click.option("--board", metavar="NAME", help="See `tinydeploy boards`.")
@click.option("--engine", metavar="NAME", help="aot (default) or tflm.")
@_tflm_root
@_folders
@_json
def new_app(
    folder: Path,
    model: Path,
    board: str | None,
    engine: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Write a small project around a model: SConstruct, src/main.c, tests."""
    from .app import NewApp, create
    from .errors import InputError

    found = settings.find()
    name = board or found.board
    if name is None:
        given = shlex.join(["tinydeploy", "new", "app", str(folder), "--model", str(model)])
        raise InputError("no board was named", f"{given} --board nucleo_l4r5zi")
    written = create(
        NewApp(
            folder=folder,
            model=model,
            board=name,
            engine=engine or found.engine or "aot",
            board_folders=(*folders, *found.boards),
            **options,
        )
    )
    _tell(written, f"cd {shlex.quote(os.path.relpath(folder))} && scons verify", as_json)


def _tell(written: tuple[Path, ...], next_command: str, as_json: bool) -> None:
    shown = [os.path.relpath(path) for path in written]
    if as_json:
        import json

        click.echo(json.dumps({"written": shown}, indent=2))
        return
    click.echo("wrote " + ", ".join(shown))
    click.echo(f"next: {next_command}")
