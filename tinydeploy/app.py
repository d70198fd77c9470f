"""The user's own program: its sources in a firmware, and a project to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import boards, paths
from .emit import names
from .emit.rendering import environment
from .engines import ENGINES
from .errors import InputError, RequestError
from .files import write_whole
from .tflite.reader import loads, read_file

FOLDER = "app"

_TEMPLATES = "firmware_templates/app"
_SOURCES = (".c", ".cc", ".h")
_C_TYPES = {"float32": "float", "bool": "uint8_t"}
# Template -> where it goes.
_PROJECT = {
    "SConstruct.j2": "SConstruct",
    "tinydeploy.toml.j2": "tinydeploy.toml",
    "main.c.j2": "src/main.c",
    "test_app.py.j2": "tests/test_app.py",
    "README.md.j2": "README.md",
    "gitignore.j2": ".gitignore",
}


def files(folder: Path) -> dict[str, str]:
    """The .c, .cc and .h files below a folder, as a firmware's sources have them: path -> text.

    Raises:
        InputError: There is none to compile, or one cannot be read or is no UTF-8.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix in _SOURCES and p.is_file())
    if not any(path.suffix != ".h" for path in found):
        raise InputError(f"{folder} holds no .c or .cc file", "tinydeploy new app DIR")
    return {f"{FOLDER}/{path.relative_to(folder).as_posix()}": _text(path) for path in found}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: byte {error.start}") from error


@dataclass(frozen=True)
class NewApp:
    """What a project is made for.

    Attributes:
        folder: Made; must not exist, or be empty.
        model: The `.tflite` file; copied.
        board, engine: Names.
        board_folders: Folders of the user's own boards.
        tflm_root: Where TFLite Micro is installed; None where the project is not to name it.
    """

    folder: Path
    model: Path
    board: str
    engine: str = "aot"
    board_folders: tuple[Path, ...] = ()
    tflm_root: Path | None = None


def create(new: NewApp) -> tuple[Path, ...]:
    """Writes a project that builds, verifies and flashes at once.

    Returns:
        What was written, by path.

    Raises:
        InputError: The model, board or engine was rejected, or the folder is not empty.
        RequestError: A file cannot be written.
    """
    if new.engine not in ENGINES:
        raise InputError(f"unknown engine {new.engine!r}", f"--engine {' | '.join(ENGINES)}")
    board = boards.load(new.board, new.board_folders)
    content = read_file(new.model)
    graph = loads(content, new.model.stem, new.model.name)
    _check_empty(new.folder)
    output = graph.tensors[graph.outputs[0]]
    copied = f"{names.identifier(new.model.stem)}.tflite"
    values = {
        "title": names.comment(graph.name),
        "model": copied,
        "board": board.name,
        "engine": new.engine,
        "boards": [_toml(folder) for folder in new.board_folders],
        "tflm_root": _toml(new.tflm_root) if new.tflm_root else "",
        "c_type": _C_TYPES.get(output.dtype.value, f"{output.dtype.value}_t"),
    }
    found = environment(paths.data(_TEMPLATES))
    written: dict[str, str | bytes] = {copied: content}
    written |= {path: found.get_template(t).render(values) for t, path in _PROJECT.items()}
    for path, text in written.items():
        write_whole(new.folder / path, text)
    return tuple(new.folder / path for path in sorted(written))


def _check_empty(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is there already", "give the name of a new folder")
    except OSError as error:
        raise RequestError(f"cannot read {folder}: {error.strerror}") from error


def _toml(path: Path) -> str:
    """A path as a TOML string, absolute."""
    text = str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
