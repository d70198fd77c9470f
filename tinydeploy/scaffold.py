"""`tinydeploy boards new`: a board.toml that works in the emulator at once, to be changed into
what the user's board is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import boards, files
from .board import HOST, Board
from .errors import InputError
from .mcu import Mcu, is_name

# What is true of the board that is copied, and not of one with the same microcontroller.
_ITS_OWN = ("qemu", "usb", "flash", "bootloader_bytes", "clock", "rated_hz")
_PINS = {True: ("P0.06", "P0.08"), False: ("PA2", "PA3")}


def new_board(name: str, mcu_name: str, folder: Path, folders: Sequence[Path]) -> Path:
    """Writes `folder`/`name`/board.toml.

    Args:
        name: The board's.
        mcu_name: A file in a folder's mcu/.
        folder: The user's folder of boards; made where it does not exist.
        folders: All folders of the user's boards.

    Returns:
        The file.

    Raises:
        InputError: The name is none or taken, there is no such microcontroller, or the file
            cannot be written.
    """
    if not is_name(name) or name == HOST.name:
        raise InputError(
            f"{name!r:.60} is no name for a board", "use lower-case letters, digits and underscores"
        )
    path = folder / name / "board.toml"
    if path.exists():
        raise InputError(f"{path} exists already", "choose another name, or edit it")
    mcu = boards.load_mcu(mcu_name, folders)
    like = next((b for b in boards.all_boards(folders) if b.mcu and b.mcu.name == mcu_name), None)
    text = _copied(name, like, folders) if like else _written(name, mcu)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", "--in DIR") from error
    return path


def _copied(name: str, like: Board, folders: Sequence[Path]) -> str:
    """The file of a board with that microcontroller, without what is that board's alone."""
    kept: list[str] = []
    keep = True
    for line in boards.path_of(like.name, folders).read_text(encoding="utf-8").splitlines():
        key = line.strip().strip("[]").split("=")[0].strip()
        if line.startswith("["):
            keep = key not in _ITS_OWN
        if not keep or key in _ITS_OWN:
            continue
        if key == "name" and line == f'name = "{like.name}"':
            line = f'name = "{name}"'
        elif key == "title" and line == f'title = "{like.title}"':
            line = f'title = "{name}"  # what people call it'
        kept.append(line)
    head = f"# Begun from {like.name}. Change [console] and [[setup]] to how your board is wired.\n"
    return head + "\n".join(kept).rstrip() + "\n"


def _written(name: str, mcu: Mcu) -> str:
    """A file for a microcontroller that no board has yet."""
    port = next(iter(mcu.uarts))
    lines = [
        f'name = "{name}"',
        f'title = "{name}"  # what people call it',
        f'mcu = "{mcu.name}"',
        "",
        "[console]",
        f'uart = "{port}"  # of {", ".join(mcu.uarts)}',
    ]
    if mcu.gpio is not None:
        function = ", function = 7" if mcu.gpio.ip == "stm32_gpio_v2" else ""
        lines += [
            f'{role} = {{ pin = "{pin}"{function} }}  # to be set'
            for role, pin in zip(("tx", "rx"), _PINS[mcu.gpio.is_nordic], strict=True)
        ]
    lines.append('source = "to be written: the schematic or manual that says so"')
    if not any(m.kind == "flash" for m in mcu.memories):
        lines += ["", "# The flash chip; to be set.", "[[memories]]", 'name = "flash"']
        lines += ['kind = "flash"', "origin = 0x1000_0000", "bytes = 0x20_0000"]
    return "\n".join(lines) + "\n"
