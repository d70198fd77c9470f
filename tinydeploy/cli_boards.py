"""`tinydeploy boards`: which there are, what is known of one, a new one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from .cli_options import BOARDS, FILE, JSON, board_folders
from .cli_output import print_json


@click.group(invoke_without_command=True)
@click.option("--fits", type=FILE, metavar="MODEL", help="Show how much MODEL takes of each.")
@BOARDS
@JSON
@click.pass_context
def boards(
    context: click.Context, fits: Path | None, folders: tuple[Path, ...], as_json: bool
) -> None:
    """List the boards."""
    context.obj = board_folders(folders)
    if context.invoked_subcommand:
        return
    from . import inspection

    rows = inspection.fitting_rows(fits, context.obj) if fits else inspection.rows(context.obj)
    if as_json:
        print_json([inspection.row_dict(row) for row in rows])
        return
    from .report.inspection import print_boards
    from .report.terminal import console

    print_boards(rows, console())


@boards.command("show")
@click.argument("name")
@JSON
@click.pass_obj
def boards_show(folders: tuple[Path, ...], name: str, as_json: bool) -> None:
    """Show all that is known of the board NAME."""
    from . import inspection

    facts = inspection.board_dict(name, folders)
    if as_json:
        print_json(facts)
        return
    from .report.inspection import print_facts
    from .report.terminal import console

    print_facts(facts, console())


@boards.command("new")
@click.argument("name")
@click.option(
    "--mcu", required=True, metavar="NAME", help="A microcontroller: boards/mcu/NAME.toml."
)
@click.option(
    "--in",
    "target",
    type=FILE,
    metavar="DIR",
    help="Your folder of boards. Default: the first that --boards or tinydeploy.toml names.",
)
@click.pass_obj
def boards_new(folders: tuple[Path, ...], name: str, mcu: str, target: Path | None) -> None:
    """Begin a board NAME of your own: a board.toml that runs in the emulator at once."""
    from . import scaffold

    folder = target or (folders[0] if folders else Path("boards"))
    path = scaffold.new_board(name, mcu, folder, folders)
    click.echo(f"wrote {os.path.relpath(path)}")
    shown = shlex.quote(os.path.relpath(folder))
    click.echo(f"next: tinydeploy verify MODEL --board {name} --boards {shown}")
