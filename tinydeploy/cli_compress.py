"""`tinydeploy compress`: its options, and what it prints."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from . import settings

_FILE = click.Path(path_type=Path)


@click.command(short_help="Prune, cluster, distil or train quantised, by a RECIPE.")
@click.argument("recipe", type=_FILE)
@click.option("--out", type=_FILE, metavar="DIR", help="Default: the recipe's, or build/RECIPE.")
@click.option("--board", metavar="NAME", help="In place of the recipe's.")
@click.option("--device/--no-device", default=None, help="Build and run every stage, or do not.")
@click.option("--fresh", is_flag=True, help="Begin anew, whatever earlier runs have done.")
@click.option(
    "--boards", "folders", type=_FILE, multiple=True, metavar="DIR", help="A folder of your boards."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compress(
    recipe: Path,
    out: Path | None,
    board: str | None,
    device: bool | None,
    fresh: bool,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Prune, cluster, distil or train quantised, as RECIPE (a .toml file) says.

    Every step's accuracy and costs are shown, and written to compress.json. A run that was
    stopped goes on from its last finished step.
    """
    from .quantize.compress.run import CompressRequest, run
    from .report.compression import print_compression, to_json
    from .report.progress import Progress
    from .report.terminal import console

    found = settings.find()
    request = CompressRequest(
        recipe=recipe,
        out=out,
        board=board,
        device=device,
        fresh=fresh,
        board_folders=(*folders, *found.boards),
    )
    with Progress(silent=as_json) as status:
        result, folder = run(request, status.line)
    if as_json:
        click.echo(to_json(result), nl=False)
        return
    print_compression(result, console())
    shown = Path(os.path.relpath(folder))
    click.echo(f"\nwrote {shown / result.result}, {shown / 'compress.json'}")
    where = result.board or "nucleo_l4r5zi"
    click.echo(f"next: tinydeploy verify {shlex.quote(str(shown / result.result))} --board {where}")
