"""The `.tflite` file for a build of the user's own with TFLite Micro: `tinydeploy emit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import boards
from ..build import BuildRequest
from ..emit import package, prefix
from ..errors import InputError
from ..graph import Graph
from ..tflite.reader import loads, read_file
from . import tflm, tflm_arena, tflm_library
from .base import Context
from .tflm import Registration

_ARDUINO_HEADER = "TensorFlowLite.h"  # by which Arduino's tools find the library


@dataclass(frozen=True)
class Export:
    """A model on its way out.

    Attributes:
        name: What its functions, types and files begin with.
        content: The bytes of the `.tflite` file.
        used: What the resolver registers.
        arena_bytes: For TFLite Micro's arena.
        measured: Whether that was measured or given; else it is estimated, from above.
    """

    name: str
    graph: Graph
    content: bytes
    used: tuple[Registration, ...]
    arena_bytes: int
    measured: bool


def export(request: BuildRequest, format: str, name: str | None = None) -> tuple[Path, ...]:
    """Writes a model in one of the `FORMATS` to `request.out`.

    Args:
        request: The model and where to write; with a board, the arena is measured for its core.
        name: What its functions begin with; None makes it of the model's name.

    Returns:
        What was written, by path.

    Raises:
        InputError: The model or the name was rejected, or TFLite Micro cannot run it.
        RequestError: A file cannot be written, or the arena cannot be measured.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}", f"--format {' | '.join(FORMATS)}")
    called = prefix.default(request.model.stem) if name is None else prefix.checked(name)
    return package.write_package(request.folder, FORMATS[format](_load(request, called)))


def _load(request: BuildRequest, name: str) -> Export:
    content = read_file(request.model)
    graph = loads(content, request.model.stem, request.model.name)
    used = tflm.registrations(graph)
    planned = tflm.planned_bytes(graph)
    if request.arena_bytes is not None:
        return Export(name, graph, content, used, request.arena_bytes, True)
    if not request.board:
        guess = tflm_arena.estimated_bytes(graph, planned)
        return Export(name, graph, content, used, guess, False)
    board = boards.load(request.board, request.board_folders)
    if board.is_host:
        raise InputError("an arena is measured for boards, not for this machine", "no --board host")
    installed = tflm_library.find(request.tflm_root)
    archive = installed.archive(board.core)
    tflm.check_installed(used, installed, archive)
    context = Context(request, board, content)
    measured = tflm_arena.measure(graph, context, installed.library(archive), planned)
    return Export(name, graph, content, used, measured.needed_bytes, True)


def c_array(export: Export) -> dict[str, str]:
    """The array alone."""
    return {
        **prefix.renamed(tflm.array_files(export.graph, export.content), export.name),
        "README.md": _render("c_array/README.md.j2", export),
    }


def op_resolver(export: Export) -> dict[str, str]:
    """The array and the resolver, for an interpreter of the user's."""
    return {
        **prefix.renamed(_array_and_resolver(export), export.name),
        "README.md": _render("op_resolver/README.md.j2", export),
    }


def arduino(export: Export) -> dict[str, str]:
    """An Arduino library."""
    sources = _sources(export, _ARDUINO_HEADER)
    return {
        # Not all of Arduino's builders compile ".cc".
        **{
            f"src/{export.name}/{path.replace('.cc', '.cpp')}": text
            for path, text in sources.items()
        },
        f"src/{export.name}.h": _header(export),
        "library.properties": _render("tflm_arduino/library.properties.j2", export),
        "examples/run_once/run_once.ino": _render("run_once.ino.j2", export),
        "README.md": _render("tflm_arduino/README.md.j2", export),
    }


def cmake(export: Export) -> dict[str, str]:
    """A CMake project of one library, that can be installed as a package."""
    return {
        **{f"src/{path}": text for path, text in _sources(export).items()},
        f"include/{export.name}.h": _header(export),
        "CMakeLists.txt": _render("tflm_cmake/CMakeLists.txt.j2", export),
        "config.cmake.in": _render("config.cmake.in.j2", export),
        "README.md": _render("tflm_cmake/README.md.j2", export),
    }


FORMATS: Mapping[str, Callable[[Export], dict[str, str]]] = {
    "c-array": c_array,
    "op-resolver": op_resolver,
    "arduino": arduino,
    "cmake": cmake,
}


def _sources(export: Export, first_header: str = "") -> dict[str, str]:
    """All that is behind NAME.h."""
    glue = tflm.glue_files(export.graph, export.used, export.arena_bytes)
    files = {**_array_and_resolver(export, first_header), **glue}
    named = prefix.renamed(files, export.name)
    return {path: package.signed(text) for path, text in named.items()}


def _array_and_resolver(export: Export, first_header: str = "") -> dict[str, str]:
    return {
        **tflm.array_files(export.graph, export.content),
        "model_resolver.h": tflm.resolver_header(export.graph, export.used, first_header),
    }


def _header(export: Export) -> str:
    return _render("model.h.j2", export)


def _render(template: str, export: Export) -> str:
    return package.render(
        template,
        export.graph,
        export.name,
        tflm=True,
        layers=len(export.graph.nodes),
        constant_bytes=len(export.content),
        arena_bytes=export.arena_bytes,
        measured=export.measured,
        model_bytes=len(export.content),
        operators=[r.name for r in export.used],
        first_header=_ARDUINO_HEADER,
    )
