"""TFLite Micro itself, with CMSIS-NN kernels: the real models, bit for bit, at its own cost.

The counts hold for the commits that benchmarks/tflm.py names, built with -O2 by GCC 12.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tflm import PUBLISHED
from tests.e2e import test_mlperf
from tests.kernels.batch import draw_cases
from tests.support import MODEL_NAMES, REPOSITORY, Golden, require
from tinydeploy import boards, pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.engines import tflm_library
from tinydeploy.engines.tflm_operators import METHODS, TYPED
from tinydeploy.inputs import InputSet
from tinydeploy.ops import OPERATORS
from tinydeploy.tflite.schema import OPERATOR_CODES

pytestmark = [pytest.mark.tflm, pytest.mark.toolchain, pytest.mark.slow]

PROGRAMS = REPOSITORY / "benchmarks" / "tflm_programs"
RUNNERS = {
    "mps2_an386": "qemu",
    "mps2_an500": "qemu",
    "mps3_an547": "qemu",
    "nucleo_l4r5zi": "unicorn",
}
UNWANTED = (
    "malloc", "free", "_sbrk", "__cxa_throw", "__cxa_allocate_exception", "__gxx_personality_v0",
    "__cxa_guard_acquire", "__cxa_atexit", "__aeabi_unwind_cpp_pr0", "_Unwind_Resume", "printf",
    "__dynamic_cast", "_ZTIN6tflite16MicroInterpreterE", "_ZSt4cout",
)  # fmt: skip


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Object files that builds of one session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("board", RUNNERS)
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_model_is_proven(
    name: str, board: str, models: Path, golden: dict[str, Golden], tmp_path: Path, cache: Path
) -> None:
    require("arm-gnu", RUNNERS[board], "oracle")
    request = BuildRequest(
        models / f"{name}.tflite", board, engine="tflm", out=tmp_path, cache=cache, strict=True
    )
    built = pipeline.build(request)
    known = golden[name]
    # QEMU takes its time over the larger models; the first input has every layer compared.
    count = len(known.outputs) if RUNNERS[board] == "unicorn" or "micro" in name else 3
    samples: list[InputSet] = [(known.input(s),) for s in range(count)]

    report, answers = pipeline.prove(built, samples, runner=RUNNERS[board], layers=True)

    assert report.outcome == "verified", report.verify
    for got, expected in zip(answers, known.outputs[:count], strict=True):
        np.testing.assert_array_equal(got[0], expected)
    assert all(layer.equal for layer in report.layers)
    core = boards.load(board).core.name
    published = PUBLISHED[name.removesuffix("_int8")].instructions(core)
    # QEMU's own timer ticks every 31.25 or 40 instructions, and is read twice.
    ticks = 0 if RUNNERS[board] == "unicorn" else 2 * 40
    assert report.instructions.inference == pytest.approx(published, rel=0.01, abs=ticks)
    total = sum(layer.instructions or 0 for layer in report.layers)
    assert total == pytest.approx(published, rel=0.02, abs=len(report.layers) * 100)
    memory = report.memory
    assert memory is not None
    assert memory.arena_used_bytes is not None
    assert memory.arena_used_bytes <= memory.arena_bytes <= memory.arena_used_bytes + 512
    found = [symbol for symbol in UNWANTED if symbol in built.firmware.symbols]
    assert found == []
    assert not any(s.name.startswith((".eh_frame", ".ARM.ex")) for s in built.firmware.sections)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_glue_takes_no_more_flash_than_a_program_by_hand(
    name: str, models: Path, tmp_path: Path, cache: Path
) -> None:
    """Beside the published figure and beside a program that is built here without glue."""
    require("arm-gnu")
    code = {}
    for program in ("glue", "direct"):
        request = BuildRequest(
            models / f"{name}.tflite",
            "mps2_an386",
            engine="tflm",
            out=tmp_path / program,
            cache=cache,
            app=PROGRAMS / program,
        )
        memory = pipeline.build(request).report.memory
        assert memory is not None
        code[program] = memory.code_bytes
    assert code["glue"] <= 1.01 * PUBLISHED[name.removesuffix("_int8")].flash
    assert code["glue"] <= code["direct"] + 400


def test_what_is_wrong_with_the_arena_is_told(models: Path, tmp_path: Path) -> None:
    require("arm-gnu", "unicorn", "oracle")
    request = BuildRequest(
        models / "kws_int8.tflite", "nucleo_l4r5zi", engine="tflm", out=tmp_path, arena_bytes=12_000
    )
    built = pipeline.build(request)
    with pytest.raises(pipeline.RequestError, match="arena of 12000 bytes"):
        pipeline.prove(built, [])


def test_the_operators_kept_as_data_are_those_of_the_headers() -> None:
    installed = tflm_library.find(None)
    assert set(METHODS.values()) - installed.methods == set()
    # What the headers have beyond that is no operator of TFLite's schema.
    others = {m.removeprefix("Add").lower() for m in installed.methods - set(METHODS.values())}
    assert others & {name.replace("_", "").lower() for name in OPERATOR_CODES} == {"custom"}
    for typed in TYPED.values():
        header = installed.header(f"tensorflow/lite/micro/kernels/{typed.header}")
        for function in filter(None, (typed.int8, typed.int16)):
            assert re.search(rf"\b{function}\(\)", header), function


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_library_holds_every_operator(operator: str, tmp_path: Path, cache: Path) -> None:
    """With the registration for the type that the operator has here."""
    require("arm-gnu")
    (case,) = draw_cases(operator, 1, 0)[:1]
    model = tmp_path / "operator.tflite"
    model.write_bytes(case.content)
    request = BuildRequest(
        model, "nucleo_l4r5zi", engine="tflm", out=tmp_path, cache=cache, arena_bytes=32768
    )
    assert pipeline.build(request).report.outcome == "built"


def test_mlperf_firmware_on_a_core_without_memory_at_0(models: Path, tmp_path: Path) -> None:
    """Its arena is measured too; the runner's commands are answered as by engine aot."""
    require("arm-gnu", "unicorn", "oracle")
    request = BuildRequest(
        models / "kws_int8.tflite", "nucleo_h743zi", engine="tflm", firmware="mlperf",
        out=tmp_path, strict=True,
    )  # fmt: skip
    built = pipeline.build(request)
    graph, content = built.prepared.graph, built.prepared.content
    with pipeline.find_runner("unicorn", built.prepared.board).open(built.firmware) as transport:
        host = test_mlperf.Host(transport)
        assert host.until_ready() == ["m-init-done"]
        sent, stored = test_mlperf.sample("kws01", 3, graph)
        host.load(sent)
        told = test_mlperf.results(host.ask("infer 1 1"))
    np.testing.assert_allclose(
        told, test_mlperf.expected("kws01", content, sent, stored), rtol=1e-6, atol=6e-7
    )
