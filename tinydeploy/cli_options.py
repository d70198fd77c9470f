"""Options that verbs share, and what they ask for."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import settings
from .build import FIRMWARES
from .errors import InputError

if TYPE_CHECKING:
    from .build import BuildRequest
    from .runners import Runner

FILE = click.Path(path_type=Path)


def options(*several: Callable[..., Any]) -> Callable[..., Any]:
    """One decorator of several."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(several):
            function = option(function)
        return function

    return decorate


JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
BOARDS = click.option(
    "--boards", "folders", type=FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
BUILD_OPTIONS = options(
    click.argument("model", type=FILE),
    click.option("--board", metavar="NAME", help="See `tinydeploy boards`."),
    click.option("--out", type=FILE, metavar="DIR", help="Default: build/MODEL-BOARD."),
    click.option("--engine", metavar="NAME", help="aot (default) or tflm."),
    click.option("--tflm-root", type=FILE, metavar="DIR", help="TFLite Micro, for engine tflm."),
    click.option(
        "--arena",
        type=click.IntRange(1),
        metavar="BYTES",
        help="For engine tflm; measured if not given.",
    ),
    click.option("--toolchain", metavar="NAME", help="auto (default), arm-gnu, zig or host."),
    click.option("--opt", metavar="GOAL", help="speed (default), size or ram."),
    click.option("--cache", type=FILE, metavar="DIR", help="Share object files between builds."),
    click.option("--sanitize", is_flag=True, help="With sanitizers; for --board host."),
    click.option("--junit", type=FILE, metavar="FILE", help="Also write the report as JUnit XML."),
    click.option("--html", type=FILE, metavar="FILE", help="Also write the report as a page."),
    BOARDS,
    JSON,
)

FIRMWARE = options(
    click.option("--firmware", type=click.Choice(FIRMWARES), default=FIRMWARES[0],
                 help="Who talks to it: tinydeploy (default), or MLPerf Tiny's runner."),
    click.option("--app", type=FILE, metavar="DIR", help="Your program's sources, in place of "
                 "the firmware that answers verify."),
)  # fmt: skip


def runner_for(name: str | None, port: str | None, renode: str | None) -> str | Runner | None:
    """The runner that --on, --port and --renode ask for; each of the last two names its own."""

    def tell(line: str) -> None:
        click.echo(line, err=True)

    for option, value, own in (("--port", port, "serial"), ("--renode", renode, "renode")):
        if value is not None and name not in (None, own):
            raise InputError(f"{option} is for --on {own}, and --on is {name}", f"--on {own}")
        name = own if value is not None else name
    if name == "serial":
        from .runners.serial import AUTO, SerialRunner

        return SerialRunner(port or AUTO, tell)
    if name == "renode":
        from .runners.renode import RenodeRunner

        return RenodeRunner(renode, tell=tell)
    return name


def board_folders(given: tuple[Path, ...]) -> tuple[Path, ...]:
    """Those of --boards, then those of tinydeploy.toml.

    Raises:
        InputError: One is no folder.
    """
    folders = (*given, *settings.find().boards)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"the boards folder {folder} does not exist")
    return folders


def optimize_goal(given: str | None) -> str:
    """What to optimise for: --opt first, then tinydeploy.toml, then speed.

    Raises:
        InputError: It is no such goal.
    """
    goal = given or settings.find().opt or "speed"
    if goal not in ("speed", "size", "ram"):
        raise InputError(f"--opt is {goal!r}", "--opt speed | --opt size | --opt ram")
    return goal


def build_request(
    model: Path,
    board: str | None,
    out: Path | None,
    engine: str | None,
    toolchain: str | None,
    opt: str | None,
    cache: Path | None,
    sanitize: bool,
    folders: tuple[Path, ...],
    tflm_root: Path | None = None,
    arena: int | None = None,
    app: Path | None = None,
    firmware: str = FIRMWARES[0],
) -> BuildRequest:
    """What to build: options first, then tinydeploy.toml, then defaults."""
    from .build import BuildRequest

    found = settings.find()
    name = board or found.board
    if name is None:
        verb = click.get_current_context().info_name
        shown = shlex.quote(str(model))
        raise InputError("no board was named", f"tinydeploy {verb} {shown} --board nucleo_l4r5zi")
    if app and firmware != FIRMWARES[0]:
        raise InputError(f"--app has no place for --firmware {firmware}", "leave one out")
    return BuildRequest(
        model=model,
        board=name,
        firmware=firmware,
        engine=engine or found.engine or "aot",
        toolchain=toolchain or found.toolchain or "auto",
        optimize=optimize_goal(opt),
        out=out,
        board_folders=board_folders(folders),
        cache=cache or found.cache,
        sanitize=sanitize,
        tflm_root=tflm_root,
        arena_bytes=arena,
        app=app,
    )
