"""The `.tflite` file for a build of the user's own with TFLite Micro: `tinydeploy emit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import boards, paths
from ..build import BuildRequest
from ..emit import package
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
        content: The bytes of the `.tflite` file.
        used: What the resolver registers.
        arena_bytes: For TFLite Micro's arena.
        measured: Whether that was measured or given; else it is estimated, from above.
    """

    graph: Graph
    content: bytes
    used: tuple[Registration, ...]
    arena_bytes: int
    measured: bool


def export(request: BuildRequest, format: str) -> tuple[Path, ...]:
    """Writes a model in one of the `FORMATS` to `request.out`.

    Args:
        request: The model and where to write; with a board, the arena is measured for its core.

    Returns:
        What was written, by path.

    Raises:
        InputError: The model was rejected, or TFLite Micro cannot run it.
        RequestError: A file cannot be written, or the arena cannot be measured.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}", f"--format {' | '.join(FORMATS)}")
    return package.write_package(request.folder, FORMATS[format](_load(request)))


def _load(request: BuildRequest) -> Export:
    content = read_file(request.model)
    graph = loads(content, request.model.stem, request.model.name)
    used = tflm.registrations(graph)
    planned = tflm.planned_bytes(graph)
    if request.arena_bytes is not None:
        return Export(graph, content, used, request.arena_bytes, True)
    if not request.board:
        guess = tflm_arena.estimated_bytes(graph, planned)
        return Export(graph, content, used, guess, False)
    board = boards.load(request.board, request.board_folders)
    if board.is_host:
        raise InputError("an arena is measured for boards, not for this machine", "no --board host")
    installed = tflm_library.find(request.tflm_root)
    archive = installed.archive(board.core)
    tflm.check_installed(used, installed, archive)
    context = Context(request, board, content)
    measured = tflm_arena.measure(graph, context, installed.library(archive), planned)
    return Export(graph, content, used, measured.needed_bytes, True)


def c_array(export: Export) -> dict[str, str]:
    """The array alone."""
    return {
        **tflm.array_files(export.graph, export.content),
        "README.md": _render("c_array/README.md.j2", export),
    }


def op_resolver(export: Export) -> dict[str, str]:
    """The array and the resolver, for an interpreter of the user's."""
    return {
        **tflm.array_files(export.graph, export.content),
        "model_resolver.h": tflm.resolver_header(export.graph, export.used),
        "README.md": _render("op_resolver/README.md.j2", export),
    }


def arduino(export: Export) -> dict[str, str]:
    """An Arduino library."""
    sources = _sources(export, _ARDUINO_HEADER)
    return {
        **{f"src/{path}": text for path, text in sources.items()},
        "library.properties": _render("tflm_arduino/library.properties.j2", export),
        "examples/run_once/run_once.ino": _render("run_once.ino.j2", export),
        "README.md": _render("tflm_arduino/README.md.j2", export),
    }


def cmake(export: Export) -> dict[str, str]:
    """A CMake project of one library, that can be installed as a package."""
    public = ("td_model.h",)
    placed = {
        f"{'include' if path in public else 'src'}/{path}": text
        for path, text in _sources(export).items()
    }
    return {
        **placed,
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
    """td_model.h and all that is behind it."""
    header = paths.data("firmware_templates/common") / "td_model.h"
    glue = tflm.glue_files(export.graph, export.used, export.arena_bytes)
    return {
        "td_model.h": package.signed(header.read_text("utf-8")),
        **tflm.array_files(export.graph, export.content),
        "model_resolver.h": tflm.resolver_header(export.graph, export.used, first_header),
        **{name: package.signed(text) for name, text in glue.items()},
    }


def _render(template: str, export: Export) -> str:
    return package.render(
        template,
        export.graph,
        arena_bytes=export.arena_bytes,
        measured=export.measured,
        model_bytes=len(export.content),
        operators=[r.name for r in export.used],
        first_header=_ARDUINO_HEADER,
    )
