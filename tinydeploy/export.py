"""The compiled model as a library of plain C: `tinydeploy emit --format arduino | cmake`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import paths, pipeline
from .build import BuildRequest
from .emit import package
from .emit.board import board_files
from .engines import ENGINES
from .errors import InputError
from .inputs import read_inputs
from .report.report import Report

# Where portable C is proven: a core that has neither DSP nor Helium, with room for large models.
_PORTABLE_BOARD = "mps2_an385"


@dataclass(frozen=True)
class Export:
    """A compiled model that was proven.

    Attributes:
        files: File name -> text: model.c, the kernels that it calls, their headers.
        header: td_model.h.
        report: Of the proof.
        code_bytes: What the sources take of the flash beside the constants; None for the host.
    """

    prepared: pipeline.Prepared
    files: Mapping[str, str]
    header: str
    report: Report
    code_bytes: int | None


def export(
    request: BuildRequest,
    form: str,
    inputs: str,
    on_line: Callable[[str], None] = lambda line: None,
) -> tuple[Path, ...]:
    """Proves the compiled model, and writes it in one of the `FORMATS` to `request.out`.

    Args:
        request: The model, where to write, and the board to compile for; without one, portable C,
            proven on a Cortex-M3.
        inputs: On what it is proven; see `inputs.read_inputs()`.
        on_line: Told what the build is doing.

    Returns:
        What was written, by path.

    Raises:
        InputError: The model, the board, the format or the inputs were rejected.
        RequestError: It cannot be built or run, differs from the model, or cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", f"--format {' | '.join(FORMATS)}")
    files = FORMATS[form](_prove(request, inputs, on_line))
    return package.write_package(request.folder, files)


def _prove(request: BuildRequest, inputs: str, on_line: Callable[[str], None]) -> Export:
    """Builds and verifies in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tinydeploy-") as folder:
        board = request.board or _PORTABLE_BOARD
        inner = replace(request, board=board, out=Path(folder) / "build")
        prepared = pipeline.prepare(inner)
        samples = read_inputs(inputs, prepared.graph)
        pipeline.find_runner(None, prepared.board)
        built = pipeline.build(inner, on_line=on_line, prepared=prepared)
        report, _ = pipeline.prove(built, samples)
        if report.outcome != "verified":
            raise pipeline.differs(report, f"tinydeploy verify {request.model} --board {board}")
        emission = ENGINES[request.engine].emit(prepared.graph, prepared.plan.target)
        objects = [
            built.firmware.elf.parent / "obj" / Path(name).with_suffix(".o")
            for name in emission.files
            if name.endswith(".c")
        ]
        code = None if prepared.board.is_host else sum(map(_flash_bytes, objects))
    header = board_files(prepared.board)["td_model.h"]
    constants = prepared.plan.constant_bytes
    return Export(
        prepared=prepared,
        files={name: package.signed(text) for name, text in emission.files.items()},
        header=package.signed(header),
        report=report,
        code_bytes=None if code is None else max(code - constants, 0),
    )


def _flash_bytes(path: Path) -> int:
    """What an object file brings into the flash, if all of it is linked."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        return sum(
            section["sh_size"]
            for section in ELFFile(stream).iter_sections()
            if section["sh_flags"] & 0x2 and section["sh_type"] == "SHT_PROGBITS"
        )


def _arduino(export: Export) -> dict[str, str]:
    """An Arduino library."""
    return {
        **{f"src/{name}": text for name, text in export.files.items()},
        "src/td_model.h": export.header,
        "library.properties": _render("aot_arduino/library.properties.j2", export),
        "examples/run_once/run_once.ino": _render("run_once.ino.j2", export),
        "README.md": _render("aot_arduino/README.md.j2", export),
        "LICENSE": _license(),
    }


def _cmake(export: Export) -> dict[str, str]:
    """A CMake project of one library, that can be installed as a package."""
    return {
        **{f"src/{name}": text for name, text in export.files.items()},
        "include/td_model.h": export.header,
        "CMakeLists.txt": _render("aot_cmake/CMakeLists.txt.j2", export),
        "config.cmake.in": _render("config.cmake.in.j2", export),
        "README.md": _render("aot_cmake/README.md.j2", export),
        "LICENSE": _license(),
    }


FORMATS: Mapping[str, Callable[[Export], dict[str, str]]] = {"arduino": _arduino, "cmake": _cmake}


def _license() -> str:
    return paths.data("LICENSE").read_text("utf-8")


def _render(template: str, export: Export) -> str:
    prepared, report = export.prepared, export.report
    kernels = [call.kernel.isa.value for call in prepared.plan.calls]
    proof = report.verify
    # It was verified.
    assert report.toolchain is not None
    assert report.runner is not None
    assert proof is not None
    return package.render(
        template,
        prepared.graph,
        sources=sorted(name for name in export.files if name.endswith(".c")),
        first_header="",
        arena_bytes=prepared.plan.arena_bytes,
        constant_bytes=prepared.plan.constant_bytes,
        code_bytes=export.code_bytes,
        compiler=report.toolchain.version,
        core=prepared.board.core.title,
        board=prepared.board.name,
        oracle=f"{proof.oracle.name} {proof.oracle.version}",
        samples=proof.inputs,
        runner=f"{report.runner.name} {report.runner.version}",
        dsp="dsp" in kernels,
        helium="mve" in kernels,
    )
