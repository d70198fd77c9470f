"""Every real model, on every core, with both compilers, in both emulators: equal bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import MODEL_NAMES, REPOSITORY, Golden, require
from tinydeploy import boards, pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.errors import DoesNotFit
from tinydeploy.inputs import InputSet, random_inputs

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

# Boards that hold any of the models, one a core, and what runs them.
EMULATED = {
    "generic_cortex_m0": "unicorn",
    "generic_cortex_m3": "unicorn",
    "generic_cortex_m4": "unicorn",
    "generic_cortex_m7": "unicorn",
    "generic_cortex_m33": "unicorn",
    "mps2_an385": "qemu",
    "mps2_an386": "qemu",
    "mps2_an500": "qemu",
    "mps2_an505": "qemu",
    "mps3_an547": "qemu",
}
DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Object files that builds of one session share."""
    return tmp_path_factory.mktemp("cache")


def request_for(model: Path, board: str, tmp_path: Path, **options: object) -> BuildRequest:
    return BuildRequest(model=model, board=board, out=tmp_path / "out", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
@pytest.mark.parametrize("board", EMULATED)
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_model_is_proven(
    name: str,
    board: str,
    toolchain: str,
    models: Path,
    golden: dict[str, Golden],
    tmp_path: Path,
    cache: Path,
) -> None:
    runner = EMULATED[board]
    require(toolchain, runner, "oracle")
    request = request_for(
        models / f"{name}.tflite", board, tmp_path, toolchain=toolchain, cache=cache, strict=True
    )
    built = pipeline.build(request)
    known = golden[name]
    # QEMU takes its time over the larger models: fewer inputs, the same code.
    count = len(known.outputs) if runner == "unicorn" else 3
    samples: list[InputSet] = [(known.input(s),) for s in range(count)]
    corners = random_inputs(built.prepared.graph, 4 if runner == "unicorn" else 2)

    report, answers = pipeline.prove(built, [*samples, *corners], runner=runner, layers=True)

    assert report.outcome == "verified", report.verify
    assert report.verify is not None
    assert report.verify.oracle.name == "tflite-micro"
    for got, expected in zip(answers[:count], known.outputs[:count], strict=True):
        np.testing.assert_array_equal(got[0], expected)
    computed = [layer for layer in report.layers if layer.kernel]
    assert all(layer.equal for layer in computed)
    assert all(layer.instructions for layer in computed)
    assert report.instructions.inference is not None
    total = sum(layer.instructions or 0 for layer in computed)
    assert report.instructions.inference == pytest.approx(total, rel=0.05, abs=5000)


@pytest.mark.parametrize("board", [b.name for b in boards.all_boards() if b.runners])
def test_every_board_proves_the_demo_model(board: str, tmp_path: Path, cache: Path) -> None:
    require("zig", *boards.load(board).runners[:1] if board != "host" else ())
    built = pipeline.build(request_for(DIGITS, board, tmp_path, cache=cache))
    report, _ = pipeline.prove(built, random_inputs(built.prepared.graph, 4), layers=True)
    assert report.outcome == "verified", report.verify


@pytest.mark.parametrize("optimize", ["speed", "size"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_model_is_proven_on_this_machine_under_sanitizers(
    name: str, optimize: str, models: Path, golden: dict[str, Golden], tmp_path: Path, cache: Path
) -> None:
    require("host-cc", "oracle")
    request = request_for(
        models / f"{name}.tflite", "host", tmp_path, sanitize=True, cache=cache, optimize=optimize
    )
    built = pipeline.build(request)
    samples = [(golden[name].input(s),) for s in range(3)]
    report, _ = pipeline.prove(built, samples)
    assert report.outcome == "verified", report.verify


def test_too_small_a_board_is_an_error_that_helps(models: Path, tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit) as caught:
        pipeline.build(request_for(models / "kws_int8.tflite", "nucleo_f030r8", tmp_path))
    assert "kws_int8.tflite needs" in caught.value.message
    assert "nucleo_f030r8 has 8.0 KiB" in caught.value.message
    assert "layer" in caught.value.message
    assert "nucleo_l4r5zi" in caught.value.hint or "fits" in caught.value.hint
    assert not (tmp_path / "out" / "firmware.elf").exists()
