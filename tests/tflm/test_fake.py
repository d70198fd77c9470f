"""Engine tflm around a stand-in for TFLite Micro: all but the interpreter itself."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import REPOSITORY, require
from tests.tflm import fake
from tinydeploy import boards, firmware, pipeline, process
from tinydeploy.build import BuildRequest
from tinydeploy.cli import main
from tinydeploy.device import DeviceError
from tinydeploy.errors import DoesNotFit, InputError, RequestError
from tinydeploy.inputs import random_inputs

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
BOARD = "nucleo_l4r5zi"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation for a Cortex-M4 with FPU."""
    require("arm-gnu", "unicorn")
    folder = fake.headers(tmp_path_factory.mktemp("tflm"))
    fake.library(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was measured before is not known; no installation is named."""
    folder = tmp_path_factory.getbasetemp() / "tflm_cache"
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(folder))
    monkeypatch.delenv("TFLM_ROOT", raising=False)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "reshape.tflite"
    path.write_bytes(fake.reshape_model())
    return path


def request(model: Path, root: Path, **options: object) -> BuildRequest:
    out = model.parent / "out"
    return BuildRequest(model, BOARD, engine="tflm", out=out, tflm_root=root, **options)  # type: ignore[arg-type]


def test_the_arena_is_measured_and_both_figures_are_reported(root: Path, model: Path) -> None:
    built = pipeline.build(request(model, root))
    report, _ = pipeline.prove(built, random_inputs(built.prepared.graph, 4), layers=True)
    assert report.outcome == "verified"
    memory = report.memory
    assert memory is not None
    assert memory.arena_bytes == -(-fake.NEEDS // 16) * 16
    assert memory.arena_used_bytes == fake.USES
    assert memory.arena_planned_bytes == 32
    assert "cortex-m4, SHA-256" in report.versions["libtensorflow-microlite.a"]
    assert [layer.instructions is not None for layer in report.layers] == [True]
    assert report.layers[0].kernel == "tflm_reshape"
    elf = built.firmware
    assert (elf.section(".bss") or elf.sections[0]).bytes < fake.NEEDS + 4096
    for unwanted in ("malloc", "__cxa_throw", "__cxa_guard_acquire", "_Unwind_Resume", "_sbrk"):
        assert unwanted not in elf.symbols
    assert not any(s.name.startswith((".eh_frame", ".ARM.ex")) for s in elf.sections)


def test_what_the_interpreter_says_comes_over_the_wire(root: Path, model: Path) -> None:
    built = pipeline.build(request(model, root, arena_bytes=64))
    with pytest.raises(DeviceError) as caught:
        pipeline.prove(built, random_inputs(built.prepared.graph, 1))
    assert "AllocateTensors() failed with an arena of 64 bytes" in caught.value.message
    assert f"Failed to allocate tensors: needs {fake.NEEDS}, has 64" in caught.value.message


def test_an_arena_larger_than_the_board_is_refused(root: Path, model: Path) -> None:
    with pytest.raises(DoesNotFit) as caught:
        pipeline.build(request(model, root, arena_bytes=700_000))
    assert "needs 685.6 KiB of RAM; nucleo_l4r5zi has 640.0 KiB" in caught.value.message
    assert "layer" not in caught.value.message


def test_the_measured_arena_is_kept(root: Path, model: Path, cache: Path) -> None:
    pipeline.prepare(request(model, root))
    (record,) = (cache / "tflm_arena").glob("*.json")
    assert json.loads(record.read_text()) == {"used_bytes": 772, "needed_bytes": 1200}
    record.write_text('{"used_bytes": 772, "needed_bytes": 2400}')
    assert pipeline.prepare(request(model, root)).plan.arena_bytes == 2400
    record.write_text("damaged")
    assert pipeline.prepare(request(model, root)).plan.arena_bytes == 1200


def test_an_arena_that_nothing_can_measure_asks_for_one(
    root: Path, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(boards, "all_boards", lambda folders=(): [])
    with pytest.raises(RequestError, match="cannot be measured") as caught:
        pipeline.prepare(request(model, root))
    assert caught.value.hint == "--arena BYTES"


def test_the_array_in_the_object_file_is_the_model(root: Path, model: Path) -> None:
    built = pipeline.build(request(model, root, arena_bytes=2048))
    elf = firmware.read(built.firmware.elf, built.prepared.board)
    symbol = elf.symbols["td_model_data"]
    content = model.read_bytes()
    assert symbol.address % 16 == 0
    assert symbol.bytes == len(content)
    at = elf.file_offset(symbol.address)
    assert elf.elf.read_bytes()[at : at + symbol.bytes] == content
    assert symbol.address < built.prepared.board.ram.origin  # type: ignore[union-attr]


def test_where_the_installation_lies_changes_no_byte(
    root: Path, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "another place $HOME"
    shutil.copytree(root, other)
    elves = [
        pipeline.build(request(model, place, arena_bytes=2048)).firmware.elf.read_bytes()
        for place in (root, other)
    ]
    assert elves[0] == elves[1]


def test_an_operator_that_the_installation_lacks_is_named(model: Path, tmp_path: Path) -> None:
    require("arm-gnu")
    root = fake.headers(tmp_path / "old", without=("RESHAPE",))
    fake.library(fake.headers(tmp_path / "whole"))
    (root / "lib").symlink_to(tmp_path / "whole" / "lib")
    with pytest.raises(InputError, match="has no RESHAPE"):
        pipeline.prepare(request(model, root))


def test_compare_shows_both_engines(root: Path, model: Path) -> None:
    argv = ["compare", str(model), "--board", BOARD, "--tflm-root", str(root)]
    argv += ["--out", str(model.parent / "c"), "--inputs", "random:2"]
    shown = CliRunner().invoke(main, [*argv, "--layers"])
    assert shown.exit_code == 0, shown.output
    for word in (
        "aot",
        "tflm",
        "instructions an inference",
        "cycles, estimated",
        "flash bytes",
        "outputs equal",
    ):
        assert word in shown.output
    told = json.loads(CliRunner().invoke(main, [*argv, "--json"]).output)
    assert [r["engine"] for r in told["reports"]] == ["aot", "tflm"]
    assert all(r["outcome"] == "verified" for r in told["reports"])
    assert told["outputs_equal"] == told["inputs"] == 2


def test_emit_measures_the_arena_for_a_board(root: Path, model: Path, tmp_path: Path) -> None:
    argv = ["emit", str(model), "--format", "cmake", "-o", str(tmp_path / "e"), "--engine", "tflm"]
    argv += ["--board", BOARD, "--tflm-root", str(root), "--name", "net"]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 0, result.output
    assert "kArenaBytes = 1200;" in (tmp_path / "e" / "src" / "net_model.cc").read_text()


def test_a_new_app_runs_on_either_engine(root: Path, model: Path, tmp_path: Path) -> None:
    for engine in ("aot", "tflm"):
        folder = tmp_path / engine
        argv = ["new", "app", str(folder), "--board", BOARD, "--model", str(model)]
        argv += ["--engine", engine, "--tflm-root", str(root)]
        assert CliRunner().invoke(main, argv).exit_code == 0
        wanted = BuildRequest(
            model, BOARD, engine=engine, out=folder / "out", tflm_root=root, app=folder / "src"
        )
        built = pipeline.build(wanted)
        with pipeline.find_runner(None, built.prepared.board).open(built.firmware) as transport:
            told = transport.read(5.0)
        assert told.startswith(b"output 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 in ")


def test_a_new_app_proves_and_tests_itself(root: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    argv = ["new", "app", str(folder), "--board", BOARD, "--model", str(model)]
    argv += ["--engine", "tflm", "--tflm-root", str(root)]
    assert CliRunner().invoke(main, argv).exit_code == 0
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for command in (["SCons", "-Q", "build", "size", "verify"], ["pytest", "-q"]):
        done = process.run([sys.executable, "-m", *command], timeout_s=120, cwd=folder, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        if command[0] == "SCons":
            assert "bit-exact" in done.stdout
            assert (folder / "build" / "app" / "firmware.elf").is_file()
            assert (folder / "build" / "verify" / "report.json").is_file()
        else:
            assert "2 passed" in done.stdout
