"""Writing a firmware into a board's flash, with the tool that the board names."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import image, process
from .board import Board
from .desk import FlashTool
from .errors import InputError, RequestError
from .files import write_whole
from .flashers import FLASHERS, Flasher, Job, Recipe
from .flashers.drive import is_there

FOLDER = "flash"  # beside the ELF: what tools are given, and what they read back

# For megabytes over a slow probe, and for a user who must find the boot loader's button first.
_TIMEOUT_S = 300.0
_DRIVE_S = 15.0

_BLAME = re.compile(r"\b(error|failed|cannot|unable|no\b.*\bfound)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Prepared:
    """Everything that will be done, and nothing done yet but files.

    Attributes:
        folder: Where the commands run.
        image_bytes: What goes into the flash.
    """

    board: Board
    facts: FlashTool
    flasher: Flasher
    recipe: Recipe
    folder: Path
    image_bytes: int

    @property
    def trouble(self) -> str:
        """What to look at when it fails."""
        return self.flasher.trouble.replace("TARGET", self.facts.target)

    @property
    def told(self) -> str:
        """What `write()` has done, in a sentence."""
        compared = "and compared" if self.recipe.verified else "and not compared: it cannot be read"
        return (
            f"{self.image_bytes} bytes written to {self.board.title} with {self.flasher.name}, "
            f"{compared}"
        )

    def to_json(self) -> str:
        """The same for programs."""
        content = {
            "board": self.board.name,
            "tool": self.flasher.name,
            "bytes": self.image_bytes,
            "folder": str(self.folder),
            "commands": [list(argv) for argv in self.recipe.commands],
            "compared": self.recipe.verified,
        }
        return json.dumps(content, indent=2)

    @property
    def script(self) -> str:
        """The commands as a shell takes them."""
        return "\n".join(map(shlex.join, [("cd", str(self.folder)), *self.recipe.commands]))


def is_elf(path: Path) -> bool:
    """Whether a file is an ELF; false too for one that is not there."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False


def prepare(elf: Path, board: Board, tool: str | None = None, probe: str = "") -> Prepared:
    """Decides how `elf` gets into the board's flash, and writes the files that it takes.

    Args:
        elf: A firmware for the board.
        board: Any with `[[flash]]` tools.
        tool: One of them; None for the first.
        probe: Which probe (its serial number), port or drive; "" for the only one.

    Raises:
        InputError: The tool or the probe's name means nothing, or `elf` is no ELF.
        RequestError: The board has no such tool, or `elf` is not for it.
    """
    facts = _facts(board, tool)
    flasher = FLASHERS[facts.tool]
    if probe and not re.fullmatch(r"[A-Za-z0-9_./:][A-Za-z0-9_./: -]*", probe):
        raise InputError(f"--probe is {probe!r}", "give a serial number, a port or a folder")
    content = image.read(elf, board)
    program = find_program(flasher) or flasher.programs[0]
    recipe = flasher.recipe(Job(facts, content, elf.read_bytes(), program, probe))
    folder = elf.absolute().parent / FOLDER
    for name, data in recipe.files.items():
        write_whole(folder / name, data)
    size = sum(len(segment.data) for segment in content.segments)
    return Prepared(board, facts, flasher, recipe, folder, size)


def write(prepared: Prepared, on_line: Callable[[str], None] | None = None) -> None:
    """Writes the flash, and compares it with the image where the tool can.

    Raises:
        RequestError: The tool is missing or failed, or the flash holds something else afterwards.
    """
    flasher, recipe, title = prepared.flasher, prepared.recipe, prepared.board.title
    if find_program(flasher) is None:
        raise RequestError(f"{flasher.programs[0]} is not on PATH", flasher.install)
    if recipe.drive and not is_there(recipe.drive):
        raise RequestError(f"there is no boot loader's drive at {recipe.drive}", prepared.trouble)
    for name in recipe.readback or {}:
        (prepared.folder / name).unlink(missing_ok=True)
    for argv in recipe.commands:
        try:
            done = process.run(argv, timeout_s=_TIMEOUT_S, cwd=prepared.folder, on_line=on_line)
        except RequestError as error:
            raise RequestError(error.message, prepared.trouble) from error
        if done.returncode:
            raise RequestError(
                f"{flasher.programs[0]} could not write {title}: "
                f"{_told(done.stderr + done.stdout) or f'exit code {done.returncode}'}",
                prepared.trouble,
            )
    for name, expected in (recipe.readback or {}).items():
        _compare(prepared.folder / name, expected, title)
    if recipe.drive:
        _await_restart(recipe.drive, title)


def find_program(flasher: Flasher) -> str | None:
    """The flasher's program: on PATH, else beside Python, where pip puts it."""
    beside = str(Path(sys.executable).parent)
    found = (shutil.which(n) or shutil.which(n, path=beside) for n in flasher.programs)
    return next(filter(None, found), None)


def _facts(board: Board, tool: str | None) -> FlashTool:
    if tool is not None and tool not in FLASHERS:
        raise InputError(f"unknown tool {tool!r}", f"--tool {' | '.join(FLASHERS)}")
    names = [facts.tool for facts in board.flash_tools]
    if not names:
        raise RequestError(
            f"nothing writes the flash of {board.name}",
            "tinydeploy verify MODEL --board " + board.name
            if board.runners
            else "add a [[flash]] table to its board.toml",
        )
    for facts in board.flash_tools:
        if tool in (None, facts.tool):
            return facts
    raise RequestError(f"{board.name} cannot be written with {tool}", f"--tool {' | '.join(names)}")


def _told(text: str) -> str:
    """The line that says what went wrong: the first that speaks of an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    blamed = [line for line in lines if _BLAME.search(line)]
    chosen = (blamed[:1] or lines[-1:] or [""])[0]
    return "".join(c for c in chosen if c.isprintable())[:200].rstrip(".")


def _compare(path: Path, expected: bytes, title: str) -> None:
    try:
        content = path.read_bytes()
    except OSError:
        raise RequestError(f"the flash of {title} was not read back: no {path.name}") from None
    if content == expected:
        return
    differing = sum(a != b for a, b in zip(content, expected, strict=False))
    differing += abs(len(content) - len(expected))
    raise RequestError(
        f"{differing} of {len(expected)} bytes in the flash of {title} are not what was written",
        f"compare {path} with {path.with_name(path.name.removeprefix('readback_'))}",
    )


def _await_restart(drive: str, title: str) -> None:
    """The boot loader restarts, and its drive goes, once it has every block."""
    deadline = time.monotonic() + _DRIVE_S
    while is_there(drive):
        if time.monotonic() > deadline:
            raise RequestError(
                f"{title}'s boot loader did not take the file: {drive} is still there",
                f"what it is for stands in {drive}/INFO_UF2.TXT",
            )
        time.sleep(0.1)
