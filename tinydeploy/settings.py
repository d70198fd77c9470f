"""`tinydeploy.toml`: what a project always wants, found in the working directory or above it."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError

FILE = "tinydeploy.toml"


@dataclass(frozen=True)
class Settings:
    """The file's content; options on the command line come first.

    Attributes:
        board: The board to use when none is named.
        boards: Folders of the project's own boards, absolute.
        toolchain, engine, opt: As the options of the same names.
        cache: A folder of object files shared between builds, absolute.
        tflm_root: Where TFLite Micro is installed, absolute: `root` of the table [tflm].
    """

    board: str | None = None
    boards: tuple[Path, ...] = ()
    toolchain: str | None = None
    engine: str | None = None
    opt: str | None = None
    cache: Path | None = None
    tflm_root: Path | None = None


def find(start: Path | None = None) -> Settings:
    """The settings that hold in `start` (the working directory).

    Raises:
        InputError: The file is not TOML, or has a key or value that means nothing.
    """
    here = Path(os.path.realpath(start or Path.cwd()))
    for folder in (here, *here.parents):
        path = folder / FILE
        if path.is_file():
            return _read(path)
    return Settings()


def _read(path: Path) -> Settings:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    known = [*(name for name in Settings.__dataclass_fields__ if name != "tflm_root"), "tflm"]
    for key in content:
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}", f"known: {', '.join(known)}")
    folders = _texts(content.get("boards", []), path, "boards")
    cache = _text(content, path, "cache")
    return Settings(
        board=_text(content, path, "board"),
        boards=tuple(_path(f, path) for f in folders),
        toolchain=_text(content, path, "toolchain"),
        engine=_text(content, path, "engine"),
        opt=_text(content, path, "opt"),
        cache=_path(cache, path) if cache else None,
        tflm_root=_tflm_root(content, path),
    )


def _tflm_root(content: dict[str, Any], path: Path) -> Path | None:
    table = content.get("tflm", {})
    if not isinstance(table, dict):
        raise InputError(f"{path}: tflm is {table!r}, needs a table", '[tflm]\nroot = "DIR"')
    for key in table:
        if key != "root":
            raise InputError(f"{path}: unknown key {key!r} in [tflm]", "known: root")
    root = _text(table, path, "root")
    return _path(root, path) if root else None


def _path(text: str, file: Path) -> Path:
    """A path as the file has it: relative to its folder, "~" for a home."""
    try:
        return file.parent / Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{file}: {text!r}: {error}") from error


def _text(content: dict[str, Any], path: Path, key: str) -> str | None:
    value = content.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{path}: {key} is {value!r}, needs a string")
    return value


def _texts(value: Any, path: Path, key: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise InputError(f"{path}: {key} is {value!r}, needs a list of strings")
    return values
