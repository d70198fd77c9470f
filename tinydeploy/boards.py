"""Boards: how they are found, read from `boards/<name>/board.toml`, and checked."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from . import cores, paths, tomldata
from .board import HOST, Board, Console, Qemu, RenodePlatform
from .bootblocks import vectors_offset
from .desk import FlashTool, Marker, Usb
from .errors import InputError
from .mcu import Clock, Mcu, Memory, Step, check_memories, check_names, is_name
from .tomldata import place


@dataclass(frozen=True)
class _BoardFile:
    """A board: `boards/<name>/board.toml`."""

    name: Annotated[str, "the folder's name: letters, digits, underscores"]
    title: Annotated[str, "what people call it"]
    mcu: Annotated[str, "the name of a file in mcu/"]
    console: Annotated[Console, "the serial port that the host talks to"]
    unicorn: Annotated[bool, "runs in the embedded emulator"] = True
    qemu: Annotated[Qemu | None, "runs in QEMU"] = None
    renode: Annotated[RenodePlatform | None, "one of Renode's own platforms, if preferred"] = None
    usb: Annotated[Usb | None, "the USB device that the console comes out of"] = None
    flash: Annotated[tuple[FlashTool, ...], "what can write its flash, the default first"] = ()
    bootloader_bytes: Annotated[int, "of the flash's start that its boot loader keeps"] = 0
    stack_bytes: Annotated[int, "RAM that the linker keeps free for the stack, at least"] = 2048
    clock: Annotated[Clock | None, "in the place of its chip's, from a crystal of the board"] = None
    setup: Annotated[tuple[Step, ...], "register writes that this board needs"] = ()
    marker: Annotated[Marker | None, "a pin for instruments, used by MLPerf's energy mode"] = None
    memories: Annotated[
        tuple[Memory, ...], "soldered on the board: an image uses them before the chip's own"
    ] = ()

    def __post_init__(self) -> None:
        check_names(self.name, self.title)
        if self.stack_bytes < 256 or self.stack_bytes % 8:
            raise ValueError(f"stack_bytes is {self.stack_bytes}; at least 256, a multiple of 8")


def load(name: str, folders: Sequence[Path] = ()) -> Board:
    """The board of that name.

    Args:
        name: "nucleo_l4r5zi", or "host".
        folders: The user's own, searched first; each is laid out like `boards/`. A board in them
            may use a shipped microcontroller.

    Returns:
        The board.

    Raises:
        InputError: No such board, or its files are wrong.
    """
    if name == HOST.name:
        return HOST
    return _read_board(path_of(name, folders), folders)


def path_of(name: str, folders: Sequence[Path] = ()) -> Path:
    """The board.toml of a board; `host` has none.

    Raises:
        InputError: No such board.
    """
    for folder in _search(folders):
        path = folder / name / "board.toml"
        if is_name(name) and path.is_file():
            return path
    names = [HOST.name, *_board_paths(folders)]
    near = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "tinydeploy boards lists them"
    raise InputError(f"unknown board {name!r:.60}", hint)


def all_boards(folders: Sequence[Path] = ()) -> tuple[Board, ...]:
    """Every board, by name, "host" last; a user's board hides a shipped one of the same name.

    Raises:
        InputError: A board's files are wrong.
    """
    found = _board_paths(folders)
    return (*(_read_board(found[name], folders) for name in sorted(found)), HOST)


def load_mcu(name: str, folders: Sequence[Path] = ()) -> Mcu:
    """The microcontroller of that name; its flash may be left to the board.

    Raises:
        InputError: No such microcontroller, or its file is wrong.
    """
    return _read_mcu(name, Path("--mcu"), folders)


def table(folders: Sequence[Path] = ()) -> list[list[str]]:
    """A row a board, as docs/boards.md shows them."""
    from .report.terminal import size

    rows = []
    for board in all_boards(folders):
        memories = ["", ""]
        if board.flash is not None and board.ram is not None:
            memories = [size(board.flash.bytes), size(board.ram.bytes)]
        runners = ", ".join(board.runners) or "none"
        rows.append([f"`{board.name}`", board.title, board.core.title, *memories, runners])
    return rows


def schema() -> dict[str, Any]:
    """The JSON schema of a board's and a microcontroller's file (boards/board.schema.json)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A board (boards/<name>/board.toml) or a microcontroller (boards/mcu/<name>.toml)",
        "anyOf": [{"$ref": "#/$defs/Board"}, {"$ref": "#/$defs/Mcu"}],
        "$defs": tomldata.definitions({"Board": _BoardFile, "Mcu": Mcu}),
    }


def _search(folders: Sequence[Path]) -> tuple[Path, ...]:
    return (*folders, paths.data("boards"))


def _board_paths(folders: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in _search(folders):
        for path in sorted(folder.glob("*/board.toml")):
            found.setdefault(path.parent.name, path)
    return found


def _read_board(path: Path, folders: Sequence[Path]) -> Board:
    data = tomldata.read(_BoardFile, path)
    if data.name != path.parent.name:
        raise InputError(
            f"{place(path, 'name')}: name is {data.name!r}, its folder is {path.parent.name!r}"
        )
    mcu = _with_memories(path, data, _read_mcu(data.mcu, path, folders))
    _check_console(path, data.console, mcu)
    mcu = _with_clock(path, data, mcu)
    _check_bootloader(path, data.bootloader_bytes, mcu)
    core = cores.find(mcu.core, mcu.fpu)
    if data.unicorn and not core.unicorn_model:
        raise InputError(f"{place(path, 'mcu')}: Unicorn has no {core.title}", "unicorn = false")
    return Board(
        name=data.name,
        title=data.title,
        core=core,
        mcu=mcu,
        console=data.console,
        qemu=data.qemu,
        renode=data.renode,
        unicorn=data.unicorn,
        stack_bytes=data.stack_bytes,
        bootloader_bytes=data.bootloader_bytes,
        setup=data.setup,
        marker=data.marker,
        usb=data.usb,
        flash_tools=data.flash,
    )


def _check_bootloader(path: Path, kept: int, mcu: Mcu) -> None:
    at, step = place(path, "bootloader_bytes"), mcu.vectors_alignment
    if kept and (not 0 < kept < mcu.flash.bytes or kept % step):
        raise InputError(
            f"{at}: bootloader_bytes is {kept:#x}, {mcu.title}'s flash has {mcu.flash.bytes:#x} "
            f"bytes; its vector table must be at a multiple of {step:#x}"
        )
    if kept and not cores.find(mcu.core, mcu.fpu).has_vtor:
        raise InputError(
            f"{at}: {mcu.title} has its vectors at the start of its "
            f"flash; bootloader_bytes is {kept:#x}"
        )


def _with_memories(path: Path, data: _BoardFile, mcu: Mcu) -> Mcu:
    """The microcontroller with the board's memories before its own."""
    memories, at = (*data.memories, *mcu.memories), place(path, "memories", "0")
    try:
        check_memories(memories, ("flash", "ram"))
    except ValueError as error:
        hint = "describe it under [[memories]], here or in the mcu's file"
        raise InputError(f"{at}: {error}", hint) from error
    mcu = replace(mcu, memories=memories)
    start = mcu.flash.origin + vectors_offset(mcu.boot)
    if start % mcu.vectors_alignment:
        raise InputError(
            f"{at}: the vectors begin at {start:#x} in {mcu.flash.name}; a table of "
            f"{16 + mcu.interrupts} words must be at a multiple of {mcu.vectors_alignment:#x}"
        )
    return mcu


def _with_clock(path: Path, data: _BoardFile, mcu: Mcu) -> Mcu:
    """The microcontroller with the board's way to its rated speed, if it has one."""
    name, rated_hz = data.console.uart, data.console.rated_hz
    if data.clock is None:
        if rated_hz:
            raise InputError(
                f"{place(path, 'console', 'rated_hz')}: console.rated_hz is {rated_hz}, and there "
                "is no [clock] here",
                "leave it out: the microcontroller's clock has its uart's rated_hz",
            )
        return mcu
    uart = replace(mcu.uarts[name], rated_hz=rated_hz)
    return replace(mcu, clock=data.clock, uarts={**mcu.uarts, name: uart})


def _check_console(path: Path, console: Console, mcu: Mcu) -> None:
    at = place(path, "console", "tx")
    if console.uart not in mcu.uarts:
        near = difflib.get_close_matches(console.uart, mcu.uarts, 1)
        raise InputError(
            f"{place(path, 'console', 'uart')}: console.uart is {console.uart!r}, which {mcu.name} "
            "does not have",
            f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(mcu.uarts)}",
        )
    pins = [pin for pin in (console.tx, console.rx) if pin is not None]
    nordic = mcu.gpio is not None and mcu.gpio.is_nordic
    if mcu.gpio is None and pins:
        raise InputError(
            f"{at}: console has pins, but {mcu.name} has no [gpio] to set them up with",
            "leave out tx and rx, or describe its [gpio]",
        )
    if mcu.gpio is not None and (len(pins) < 2 or any(p.is_nordic != nordic for p in pins)):
        example = ("P0.24", "P0.25") if nordic else ("PG7", "PG8")
        raise InputError(
            f"{at}: console needs the pins tx and rx, as {mcu.title} names them",
            'tx = {{ pin = "{}" }}, rx = {{ pin = "{}" }}'.format(*example),
        )
    if mcu.gpio is not None and mcu.gpio.ports and max(p.port for p in pins) >= len(mcu.gpio.ports):
        raise InputError(f"{at}: {mcu.title} has only {len(mcu.gpio.ports)} ports, from P0 on")


def _read_mcu(name: str, user: Path, folders: Sequence[Path]) -> Mcu:
    """Reads the microcontroller that the board file `user` names."""
    names: list[str] = []
    for folder in _search(folders):
        path = folder / "mcu" / f"{name}.toml"
        if is_name(name) and path.is_file():
            mcu = tomldata.read(Mcu, path)
            if mcu.name != name:
                raise InputError(
                    f"{place(path, 'name')}: name is {mcu.name!r}, its file is {path.name!r}"
                )
            cores.find(mcu.core, mcu.fpu)
            return mcu
        names += [p.stem for p in (folder / "mcu").glob("*.toml")]
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(names))}"
    raise InputError(f"{place(user, 'mcu')}: unknown mcu {name!r:.60}", hint)


if __name__ == "__main__":
    # python -m tinydeploy.boards > boards/board.schema.json; with --table, docs/boards.md's rows
    if sys.argv[1:] == ["--table"]:
        print("\n".join(f"| {' | '.join(row)} |" for row in table()))
    else:
        print(json.dumps(schema(), indent=2))
