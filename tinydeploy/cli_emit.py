"""`tinydeploy emit`: a model as files for other tools and for builds of one's own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from . import settings
from .build import BuildRequest
from .cli_options import optimize_goal

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Order:
    """What the options ask for."""

    form: str
    request: BuildRequest
    out: Path
    name: str | None
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
        engines: Which engines' code it can hold.
    """

    write: Callable[[_Order], tuple[Path, ...]]
    following: str
    needs_board: bool = False
    engines: tuple[str, ...] = ("aot", "tflm")


def _export(order: _Order) -> tuple[Path, ...]:
    if order.request.engine == "aot":
        from .export import export as export_compiled

        return export_compiled(order.request, order.form, order.inputs, order.name, order.on_line)
    from .engines.tflm_export import export

    return export(order.request, order.form, order.name)


def _robot(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import Suite, write_suite

    suite = Suite(order.request, order.out, order.inputs, order.seconds)
    return write_suite(suite, order.on_line)


def _renode(order: _Order) -> tuple[Path, ...]:
    from .renode.suite import write_platform

    return write_platform(order.request, order.out, order.on_line)


_FORMATS: Mapping[str, _Format] = {
    "arduino": _Format(_export, "read {folder}/README.md"),
    "cmake": _Format(_export, "read {folder}/README.md"),
    "c-array": _Format(_export, "read {folder}/README.md", engines=("tflm",)),
    "op-resolver": _Format(_export, "read {folder}/README.md", engines=("tflm",)),
    "robot": _Format(_robot, "renode-test {}", needs_board=True),
    "renode": _Format(_renode, "renode {}", needs_board=True),
}


@click.command(short_help="Write MODEL for a build of your own or for other tools.")
@click.argument("model", type=_FILE)
@click.option("--format", "form", required=True, type=click.Choice(list(_FORMATS)))
@click.option("-o", "--out", type=_FILE, metavar="DIR", help="Default: MODEL[-BOARD]-FORMAT.")
@click.option(
    "--name",
    metavar="NAME",
    help="What the package's functions, types and files begin with; default: td_MODEL.",
)
@click.option("--board", metavar="NAME",
              help="See `tinydeploy boards`. Without one, arduino and cmake hold portable C; for "
                   "tflm, the arena is estimated, not measured.")  # fmt: skip
@click.option("--engine", metavar="NAME", help="aot (default) or tflm.")
@click.option("--toolchain", metavar="NAME", help="auto (default), arm-gnu or zig.")
@click.option("--opt", metavar="GOAL", help="speed (default), size or ram.")
@click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro, for engine tflm.")
@click.option("--arena", type=click.IntRange(1, 1 << 30), metavar="BYTES",
              help="TFLite Micro's arena, for engine tflm.")  # fmt: skip
@click.option("--inputs", default="random:3", show_default=True, metavar="SPEC",
              help="What it is proven on: random:N, or a .npy or .npz file.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 1e6, min_open=True), metavar="S",
              help="For robot: how much virtual time an inference may take; measured, and a "
                   "quarter more, if not given.")  # fmt: skip
@click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
@click.option("--json", "as_json", is_flag=True, help="Print the paths as JSON.")
def emit(as_json: bool, form: str, **options: Any) -> None:
    """Write MODEL as files for other tools, or for a build of your own.

    arduino and cmake are libraries with NAME.h (input, output, run) around the compiled model or,
    with --engine tflm, around your TFLite Micro; any number of them link into one program.
    c-array is the .tflite file as an array in C for it; op-resolver adds what registers the model's
    operators there. robot is a Robot Framework suite that proves the firmware in Renode; renode is
    the firmware with the platform and the script that start it there. What holds compiled code is
    verified before it is written.
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
    first, folder = map(shlex.quote, (shown[0], os.path.relpath(order.out)))
    click.echo(f"next: {_FORMATS[form].following.format(first, folder=folder)}")


def _order(
    form: str,
    on_line: Callable[[str], None],
    model: Path,
    out: Path | None,
    name: str | None,
    board: str | None,
    engine: str | None,
    toolchain: str | None,
    opt: str | None,
    tflm_root: Path | None,
    arena: int | None,
    inputs: str,
    seconds: float | None,
    folders: tuple[Path, ...],
) -> _Order:
    from .engines import ENGINES
    from .errors import InputError

    found = settings.find()
    needs_board, engines = _FORMATS[form].needs_board, _FORMATS[form].engines
    if engine is not None and engine not in engines:
        if engine in ENGINES:
            raise InputError(
                f"{form} is the .tflite file for TFLite Micro, not compiled by engine {engine}",
                "--format cmake | arduino",
            )
        raise InputError(f"unknown engine {engine!r}", f"--engine {' | '.join(ENGINES)}")
    engine = engine or (found.engine if found.engine in engines else None) or engines[0]
    if engine == "aot" and (tflm_root or arena):
        option = "--tflm-root" if tflm_root else "--arena"
        raise InputError(f"{option} is for engine tflm, this is for engine aot", "--engine tflm")
    packaged = _FORMATS[form].write is _export
    if name is not None and not packaged:
        raise InputError(f"--name is for packages, not for {form}", "leave out --name")
    if opt is not None and packaged and engine == "tflm":
        raise InputError("--opt is for engine aot: your build compiles TFLite Micro", "no --opt")
    place = board or (found.board if needs_board else None)
    if place is None and needs_board:
        raise InputError(
            "no board was named",
            f"tinydeploy emit {shlex.quote(str(model))} --format {form} --board nucleo_l4r5zi",
        )
    folder = out or Path("-".join(filter(None, (name or model.stem, place, form))))
    request = BuildRequest(
        model=model,
        board=place or "",
        engine=engine,
        toolchain=toolchain or found.toolchain or "auto",
        optimize=optimize_goal(opt),
        out=None if needs_board else folder,
        board_folders=(*folders, *found.boards),
        cache=found.cache,
        tflm_root=tflm_root,
        arena_bytes=arena,
    )
    return _Order(form, request, folder, name, inputs, seconds, on_line)
