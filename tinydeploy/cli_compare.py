"""`tinydeploy compare`: engines side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .cli_options import build_request

_FILE = click.Path(path_type=Path)


@click.command(short_help="Run MODEL with several engines and compare them.")
@click.argument("model", type=_FILE)
@click.option("--board", metavar="NAME", help="See `tinydeploy boards`.")
@click.option("--engines", default="aot,tflm", show_default=True, metavar="NAMES")
@click.option("--on", "runner", metavar="RUNNER", help="Default: the board's preferred one.")
@click.option("--inputs", default="random:8", show_default=True, metavar="SPEC",
              help="random:N, or a .npy or .npz file.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Layer by layer, too.")
@click.option("--cycles/--no-cycles", default=True,
              help="Estimate cycles, as profile does.")  # fmt: skip
@click.option("--out", type=_FILE, metavar="DIR", help="Default: build/MODEL-BOARD.")
@click.option("--tflm-root", type=_FILE, metavar="DIR", help="TFLite Micro, for engine tflm.")
@click.option("--arena", type=click.IntRange(1), metavar="BYTES",
              help="For engine tflm; measured if not given.")  # fmt: skip
@click.option("--toolchain", metavar="NAME", help="auto (default), arm-gnu, zig or host.")
@click.option("--opt", metavar="GOAL", help="speed (default), size or ram.")
@click.option("--cache", type=_FILE, metavar="DIR", help="Share object files between builds.")
@click.option("--boards", "folders", type=_FILE, multiple=True, metavar="DIR",
              help="A folder of your boards.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compare(
    engines: str,
    runner: str | None,
    inputs: str,
    layers: bool,
    cycles: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Build MODEL with several engines, run them on the same inputs, and show what each costs."""
    from .compare import compare as run
    from .compare import to_json
    from .errors import RequestError
    from .report.comparison import print_comparison
    from .report.progress import Progress
    from .report.terminal import console

    request = build_request(engine=None, sanitize=False, **options)
    names = [name.strip() for name in engines.split(",") if name.strip()]
    with Progress(silent=as_json) as status:
        found = run(
            request,
            names,
            inputs=inputs,
            runner=runner,
            layers=layers,
            cycles=cycles,
            on_line=status.line,
            progress=status.count,
        )
    if as_json:
        click.echo(to_json(found), nl=False)
    else:
        print_comparison(found, console())
    if not found.good:
        wrong = next(report for report in found.reports if report.outcome != "verified")
        raise RequestError(
            f"engine {wrong.engine} differs from {wrong.model.name}",
            f"tinydeploy verify {wrong.model.path} --board {wrong.board} "
            f"--engine {wrong.engine} --layers",
        )
