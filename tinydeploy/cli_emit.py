"""`tinydeploy emit`: a model as files for other tools."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from . import settings
from .build import BuildRequest

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Order:
    """What the options ask for."""

    request: BuildRequest
    out: Path
    inputs: str
    seconds: float | None
    on_line: Callable[[str], None]


def _robot(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import Suite, write_suite

    suite = Suite(order.request, order.out, order.inputs, order.seconds)
    return write_suite(suite, order.on_line)


def _renode(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import write_platform

    return write_platform(order.request, order.out, order.on_line)


# Name -> what writes it, and what to type next; {} is the first file written.
_FORMATS: Mapping[str, tuple[Callable[[_Order], tuple[Path, ...]], str]] = {
    "robot": (_robot, "renode-test {}"),
    "renode": (_renode, "renode {}"),
}


@click.command()
@click.argument("model", type=_FILE)
@click.option("--format", "form", required=True, type=click.Choice(list(_FORMATS)))
@click.option("-o", "--out", type=_FILE, metavar="DIR", help="Default: MODEL-BOARD-FORMAT.")
@click.option("--board", metavar="NAME", help="See `tinydeploy boards`.")
@click.option("--engine", metavar="NAME", help="aot (default) or tflm.")
@click.option("--toolchain", metavar="NAME", help="auto (default), arm-gnu or zig.")
@click.option("--inputs", default="random:3", show_default=True, metavar="SPEC",
              help="For robot: random:N, or a .npy or .npz file.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 1e6, min_open=True), metavar="S",
              help="For robot: how much virtual time an inference may take; measured, and a "
                   "quarter more, if not given.")  # fmt: skip
@click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
@click.option("--json", "as_json", is_flag=True, help="Print the paths as JSON.")
def emit(as_json: bool, form: str, **options: Any) -> None:
    """Write MODEL as files for other tools.

    robot is a Robot Framework suite that proves the firmware in Renode; renode is the firmware
    with the platform and the script that start it there.
    """
    from .report.progress import Progress

    write, following = _FORMATS[form]
    with Progress(silent=as_json) as status:
        written = write(_order(form, status.line, **options))
    shown = [os.path.relpath(path) for path in written]
    if as_json:
        import json

        click.echo(json.dumps(shown))
        return
    click.echo(f"wrote {', '.join(shown[:4])}{f' and {len(shown) - 4} more' * (len(shown) > 4)}")
    click.echo(f"next: {following.format(shown[0])}")


def _order(
    form: str,
    on_line: Callable[[str], None],
    model: Path,
    out: Path | None,
    board: str | None,
    engine: str | None,
    toolchain: str | None,
    inputs: str,
    seconds: float | None,
    folders: tuple[Path, ...],
) -> _Order:
    from .errors import InputError

    found = settings.find()
    name = board or found.board
    if name is None:
        raise InputError(
            "no board was named", f"tinydeploy emit {model} --format {form} --board nucleo_l4r5zi"
        )
    request = BuildRequest(
        model=model,
        board=name,
        engine=engine or found.engine or "aot",
        toolchain=toolchain or found.toolchain or "auto",
        board_folders=(*folders, *found.boards),
        cache=found.cache,
        tflm_root=found.tflm_root,
    )
    folder = out or Path(f"{model.stem}-{name}-{form}")
    return _Order(request, folder, inputs, seconds, on_line)
