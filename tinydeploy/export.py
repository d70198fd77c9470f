"""The compiled model as a library of plain C: `tinydeploy emit --format arduino | cmake`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import export_check, paths, pipeline
from .build import BuildRequest
from .emit import package, prefix
from .emit.carray import bytes_text
from .engines import ENGINES
from .errors import InputError
from .export_check import Golden, Right
from .graph import Array, DType
from .inputs import InputSet, read_inputs
from .oracle import open_oracle
from .plan.plan import Optimize, Plan
from .report.report import Report
from .verify import computed_of

# Where portable C is proven: a core that has neither DSP nor Helium, with room for large models.
_PORTABLE_BOARD = "mps2_an385"
# Of inputs and outputs in the self-test; one of each there always is.
_MOST_GOLDEN_BYTES = 32 * 1024
_MOST_GOLDENS = 4


@dataclass(frozen=True)
class Export:
    """A compiled model that was proven.

    Attributes:
        name: What its functions, types and files begin with.
        files: File name -> text: NAME_model.c, the kernels that it calls, their headers,
            NAME_self_test.c.
        report: Of the proof.
        golden_bytes: What NAME_self_test.c holds.
        goldens: How many inputs those are.
        form: A key of FORMATS.
        code_bytes: What the sources take of the flash beside the constants; None for the host.
        stack_bytes: What a run takes; None where it was not measured.
    """

    prepared: pipeline.Prepared
    name: str
    files: Mapping[str, str]
    report: Report
    goldens: int
    golden_bytes: int
    form: str
    code_bytes: int | None = None
    stack_bytes: int | None = None

    @property
    def optimize(self) -> Optimize:
        return Optimize(self.prepared.request.optimize)


def export(
    request: BuildRequest,
    form: str,
    inputs: str,
    name: str | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> tuple[Path, ...]:
    """Proves the compiled model, and writes it in one of the `FORMATS` to `request.out`.

    Args:
        request: The model, where to write, and the board to compile for; without one, portable C,
            proven on a Cortex-M3.
        inputs: On what it is proven; see `inputs.read_inputs()`.
        name: What its functions begin with; None makes it of the model's name.
        on_line: Told what the build is doing.

    Returns:
        What was written, by path.

    Raises:
        InputError: The model, the board, the format, the name or the inputs were rejected.
        RequestError: It cannot be built or run, differs from the model, or cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", f"--format {' | '.join(FORMATS)}")
    called = prefix.default(request.model.stem) if name is None else prefix.checked(name)
    files = FORMATS[form](_prove(request, form, called, inputs, on_line))
    return package.write_package(request.folder, files)


def _prove(
    request: BuildRequest,
    form: str,
    name: str,
    inputs: str,
    on_line: Callable[[str], None],
) -> Export:
    """Builds and verifies in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tinydeploy-") as folder:
        board = request.board or _PORTABLE_BOARD
        inner = replace(request, board=board, out=Path(folder) / "build")
        prepared = pipeline.prepare(inner)
        # Of the random ones the last is noise: that one goes through all layers, and is shipped.
        samples = tuple(reversed(read_inputs(inputs, prepared.graph)))
        pipeline.find_runner(None, prepared.board)
        built = pipeline.build(inner, on_line=on_line, prepared=prepared)
        oracle = open_oracle(prepared.graph, prepared.content)
        report, outputs = pipeline.prove(built, samples, layers=True, oracle=oracle)
        if report.outcome != "verified":
            opt = "" if request.optimize == "speed" else f" --opt {request.optimize}"
            again = f"tinydeploy verify {request.model} --board {board}{opt}"
            raise pipeline.differs(report, again)
        emission = ENGINES[request.engine].emit(prepared.graph, prepared.plan.target)
        steps = _step_hashes(prepared.plan, oracle.layers(samples[0]))
    goldens = _goldens(samples, outputs)
    proven = Export(
        prepared=prepared,
        name=name,
        files={},
        report=report,
        goldens=len(goldens),
        golden_bytes=4 * len(steps)
        + sum(array.nbytes for golden in goldens for side in golden for array in side),
        form=form,
    )
    files = {**emission.files, "model.c": _with_arena_of_choice(emission.files["model.c"])}
    files = {file: _with_build_header(file, text) for file, text in files.items()}
    files = prefix.renamed(files, name)
    files[f"{name}_td_build.h"] = _render("build.h.j2", proven)
    files[f"{name}_self_test.c"] = _self_test(proven, goldens, steps)
    signed = {path: package.signed(text) for path, text in files.items()}
    on_line(f"measuring {name}")
    return _measured(replace(proven, files=signed), goldens, steps)


def _goldens(samples: Sequence[InputSet], outputs: Sequence[Sequence[Array]]) -> list[Golden]:
    """Inputs and their outputs, as many as there is room for."""
    pairs = list(zip(samples, outputs, strict=True))
    bytes_each = sum(array.nbytes for side in pairs[0] for array in side)
    return pairs[: max(1, min(_MOST_GOLDENS, _MOST_GOLDEN_BYTES // max(bytes_each, 1)))]


def _step_hashes(plan: Plan, layers: Mapping[int, Array]) -> list[int]:
    """FNV-1a, of 32 bits, of the output of each of the plan's calls."""
    hashes = []
    for call in plan.calls:
        value = 2166136261
        tensor = plan.graph.tensors[call.outputs[0]]
        for byte in computed_of(tensor, layers[call.layer]).tobytes():
            value = (value ^ byte) * 16777619 & 0xFFFFFFFF
        hashes.append(value)
    return hashes


def _self_test(export: Export, goldens: Sequence[Golden], steps: Sequence[int]) -> str:
    arrays, called = [], {}
    for side, kind in enumerate(("input", "output")):
        called[kind] = [f"golden_{kind}_{i}" for i in range(len(goldens[0][side]))]
        for i, array_name in enumerate(called[kind]):
            stored = [golden[side][i].tobytes() for golden in goldens]
            text = bytes_text(b"".join(stored))
            arrays.append({"name": array_name, "bytes": len(stored[0]), "text": text})
    return _render(
        "self_test.c.j2",
        export,
        arrays=arrays,
        steps=steps,
        input_names=called["input"],
        output_names=called["output"],
    )


def _with_arena_of_choice(model: str) -> str:
    """model.c whose arena may be an array of the user's: in memory of choice, or shared."""
    own = re.search(r"^static uint8_t td_arena\[.*\n", model, re.MULTILINE)
    assert own is not None
    other = "#ifdef TD_ARENA\nextern uint8_t TD_ARENA[];\n#define td_arena TD_ARENA\n"
    return model.replace(own[0], f"{other}#else\n{own[0]}#endif\n", 1)


def _with_build_header(file: str, text: str) -> str:
    """A source that includes td_build.h before all else."""
    if not file.endswith(".c"):
        return text
    comment, end, rest = text.partition("*/\n") if text.startswith("/*") else ("", "", text)
    return f'{comment}{end}#include "td_build.h"\n{rest}'


def _measured(export: Export, goldens: Sequence[Golden], steps: Sequence[int]) -> Export:
    """With what the package's own files take, and proven to be what was proven."""
    prepared = export.prepared
    if prepared.board.is_host:
        return export
    ide = export.form == "arduino"
    sizes = {
        "painted_bytes": export_check.painted_bytes(prepared),
        "chunk_bytes": export_check.CHUNK_BYTES,
    }
    files = {path: text for path, text in export.files.items() if "_self_test" not in path}
    files[f"{export.name}.h"] = _header(export)
    files[export_check.MAIN] = _render("check_main.c.j2", export, **sizes)
    with tempfile.TemporaryDirectory(prefix="tinydeploy-") as folder:
        found = export_check.check(prepared, files, Right(goldens, steps), Path(folder), ide)
    code = max(found.flash_bytes - prepared.plan.constant_bytes, 0)
    return replace(export, code_bytes=code, stack_bytes=found.stack_bytes)


def _arduino(export: Export) -> dict[str, str]:
    """An Arduino library: what is in src/ itself is for the sketch, folders in it are not."""
    name = export.name
    return {
        **{f"src/{name}/{path}": text for path, text in export.files.items()},
        f"src/{name}.h": _header(export),
        "library.properties": _render("aot_arduino/library.properties.j2", export),
        "examples/run_once/run_once.ino": _render("run_once.ino.j2", export),
        "README.md": _render("aot_arduino/README.md.j2", export),
        "LICENSE": _license(),
    }


def _cmake(export: Export) -> dict[str, str]:
    """A CMake project of one library, that can be installed as a package, and its test."""
    return {
        **{f"src/{path}": text for path, text in export.files.items()},
        f"include/{export.name}.h": _header(export),
        "test/main.c": _render("test_main.c.j2", export),
        "CMakeLists.txt": _render("aot_cmake/CMakeLists.txt.j2", export),
        "config.cmake.in": _render("config.cmake.in.j2", export),
        "README.md": _render("aot_cmake/README.md.j2", export),
        "LICENSE": _license(),
    }


FORMATS: Mapping[str, Callable[[Export], dict[str, str]]] = {"arduino": _arduino, "cmake": _cmake}


def _license() -> str:
    return paths.data("LICENSE").read_text("utf-8")


def _header(export: Export) -> str:
    return _render("model.h.j2", export)


def _render(template: str, export: Export, **values: object) -> str:
    prepared, report = export.prepared, export.report
    kernels = [call.kernel.isa.value for call in prepared.plan.calls]
    graph = prepared.graph
    proof = report.verify
    # It was verified.
    assert report.toolchain is not None
    assert report.runner is not None
    assert proof is not None
    return package.render(
        template,
        graph,
        export.name,
        tflm=False,
        arduino=export.form == "arduino",
        sources=sorted(name for name in export.files if name.endswith(".c")),
        first_header="",
        arena_bytes=prepared.plan.arena_bytes,
        constant_bytes=prepared.plan.constant_bytes,
        code_bytes=export.code_bytes,
        stack_bytes=export.stack_bytes,
        layers=len(prepared.plan.calls),
        opt=export.optimize.value,
        level="-Os" if export.optimize is Optimize.SIZE else "-O2",
        compiler=report.toolchain.version,
        core=prepared.board.core.title,
        board=prepared.board.name,
        oracle=f"{proof.oracle.name} {proof.oracle.version}",
        samples=proof.inputs,
        runner=f"{report.runner.name} {report.runner.version}",
        dsp="dsp" in kernels,
        helium="mve" in kernels,
        floats=any(tensor.dtype is DType.FLOAT32 for tensor in graph.tensors),
        goldens=export.goldens,
        golden_bytes=export.golden_bytes,
        **values,
    )
