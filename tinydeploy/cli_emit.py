"""`tinydeploy emit`: a model as files for other tools and for builds of one's own."""

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

    form: str
    request: BuildRequest
    out: Path
    inputs: str
    seconds: float | None
    on_line: Callable[[str], None]


@dataclass(frozen=True)
class _Format:
    """Something to be written.

    Attributes:
        write: Writes it; the paths of the files.
        following: What to type next; {} is the first file.
        needs_board: Whether it is for one board.
    """

    write: Callable[[_Order], tuple[Path, ...]]
    following: str
    needs_board: bool = False


def _export(order: _Order) -> tuple[Path, ...]:
    from .engines.tflm_export import export

    return export(order.request, order.form)


def _robot(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import Suite, write_suite

    suite = Suite(order.request, order.out, order.inputs, order.seconds)
    return write_suite(suite, order.on_line)


def _renode(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import write_platform

    return write_platform(order.request, order.out, order.on_line)


_FORMATS: Mapping[str, _Format] = {
    **{
        name: _Format(_export, "read {folder}/README.md")
        for name in ("c-array", "op-resolver", "arduino", "cmake")
    },
    "robot": _Format(_robot, "renode-test {}", needs_board=True),
    "renode": _Format(_renode, "renode {}", needs_board=True),
}


@click.command()
@click.argument("model", type=_FILE)
@click.option("--format", "form", required=True, type=click.Choice(list(_FORMATS)))
@click.option("-o", "--out", type=_FILE, metavar="DIR", help="Default: MODEL[-BOARD]-FORMAT.")
@click.option("--board", metavar="NAME",
              help="See `tinydeploy boards`. Without one, TFLite Micro's arena is "
                   "estimated, not measured.")  # fmt: skip
@click.option("--engine", metavar="NAME", help="For robot and renode: aot (default) or tflm.")
@click.option("--toolchain", metavar="NAME", help="For those: auto (default), arm-gnu or zig.")
@click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro.")
@click.option("--arena", type=click.IntRange(1, 1 << 30), metavar="BYTES",
              help="TFLite Micro's arena.")  # fmt: skip
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
    """Write MODEL as files for other tools, or for a build of your own.

    c-array is the file as an array in C; op-resolver adds what registers its operators in TFLite
    Micro; arduino and cmake are libraries with td_model.h: input, output, run. robot is a Robot
    Framework suite that proves the firmware in Renode; renode is the firmware with the platform
    and the script that start it there.
    """
    from .report.progress import Progress

    with Progress(silent=as_json) as status:
        order = _order(form, status.line, **options)
        written = _FORMATS[form].write(order)
    shown = [os.path.relpath(path) for path in written]
    if as_json:
        import json

        click.echo(json.dumps({"written": shown}, indent=2))
        return
    click.echo(f"wrote {', '.join(shown[:4])}{f' and {len(shown) - 4} more' * (len(shown) > 4)}")
    folder = os.path.relpath(order.out)
    click.echo(f"next: {_FORMATS[form].following.format(shown[0], folder=folder)}")


def _order(
    form: str,
    on_line: Callable[[str], None],
    model: Path,
    out: Path | None,
    board: str | None,
    engine: str | None,
    toolchain: str | None,
    tflm_root: Path | None,
    arena: int | None,
    inputs: str,
    seconds: float | None,
    folders: tuple[Path, ...],
) -> _Order:
    from .errors import InputError

    found = settings.find()
    needs_board = _FORMATS[form].needs_board
    name = board or (found.board if needs_board else None)
    if name is None and needs_board:
        raise InputError(
            "no board was named", f"tinydeploy emit {model} --format {form} --board nucleo_l4r5zi"
        )
    folder = out or Path("-".join(filter(None, (model.stem, name, form))))
    request = BuildRequest(
        model=model,
        board=name or "",
        engine=engine or found.engine or "aot",
        toolchain=toolchain or found.toolchain or "auto",
        out=None if needs_board else folder,
        board_folders=(*folders, *found.boards),
        cache=found.cache,
        tflm_root=tflm_root,
        arena_bytes=arena,
    )
    return _Order(form, request, folder, inputs, seconds, on_line)
