"""`tinydeploy emit` and `tinydeploy new`: a model's files for a build of the user's own, and a new
project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from . import settings

_FILE = click.Path(path_type=Path)
_FORMATS = ("c-array", "op-resolver", "arduino", "cmake")

_folders = click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
_tflm_root = click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the paths as JSON.")


@click.command()
@click.argument("model", type=_FILE)
@click.option("--format", "form", required=True, type=click.Choice(_FORMATS))
@click.option("-o", "--out", type=_FILE, required=True, metavar="DIR")
@click.option("--board", metavar="NAME",
              help="Measure TFLite Micro's arena for it; estimated if not given.")  # fmt: skip
@click.option("--arena", type=click.IntRange(1, 1 << 30), metavar="BYTES", help="Or set it.")
@_tflm_root
@_folders
@_json
def emit(
    model: Path,
    form: str,
    out: Path,
    board: str | None,
    arena: int | None,
    tflm_root: Path | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write MODEL as C and C++ for a build of your own, with TFLite Micro.

    c-array is the file as an array; op-resolver adds what registers its operators; arduino and
    cmake are libraries with td_model.h: input, output, run.
    """
    from .build import BuildRequest
    from .engines.tflm_export import export

    request = BuildRequest(
        model=model,
        board=board or "",
        out=out,
        board_folders=(*folders, *settings.find().boards),
        tflm_root=tflm_root,
        arena_bytes=arena,
    )
    _tell(export(request, form), f"read {os.path.relpath(out / 'README.md')}", as_json)


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
        raise InputError(
            "no board was named", f"tinydeploy new app {folder} --board nucleo_l4r5zi …"
        )
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
    _tell(written, f"cd {os.path.relpath(folder)} && scons verify", as_json)


def _tell(written: tuple[Path, ...], next_command: str, as_json: bool) -> None:
    shown = [os.path.relpath(path) for path in written]
    if as_json:
        import json

        click.echo(json.dumps({"written": shown}, indent=2))
        return
    click.echo("wrote " + ", ".join(shown))
    click.echo(f"next: {next_command}")
