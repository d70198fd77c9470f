"""Whole recipes: figures, resuming after SIGKILL, the same bytes again, errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quantize import keraskit
from tests.support import REPOSITORY, require
from tinydeploy.errors import InputError, RequestError
from tinydeploy.quantize.compress.run import JSON, CompressRequest, run
from tinydeploy.quantize.finish import read_metadata
from tinydeploy.quantize.frameworks import module

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

_RECIPE = """
model = "net.keras"
data = "train.npz"
eval = "test.npz"
epochs = 1
learning_rate = 3e-3
calibration_samples = 32

[[step]]
do = "train"
epochs = 5

[[step]]
do = "filters"
remove = 0.5
multiple_of = 4
epochs = 4

[[step]]
do = "prune"
sparsity = 0.5

[[step]]
do = "cluster"
clusters = 8

[[step]]
do = "qat"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Keras 3 model, data and a recipe."""
    require("tensorflow", "ptq", "oracle")
    folder = tmp_path_factory.mktemp("project")
    keras3 = module("keras")
    keras3.utils.set_random_seed(1)
    keraskit.network(keras3).save(folder / "net.keras")
    keraskit.write_data(folder)
    (folder / "recipe.toml").write_text(_RECIPE)
    return folder


def _run(project: Path, out: str, **options: Any) -> Any:
    result, folder = run(CompressRequest(project / "recipe.toml", out=project / out, **options))
    assert folder == project / out
    return result


def _start(project: Path, out: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tinydeploy", "compress", str(project / "recipe.toml")]
    return subprocess.Popen(
        [*argv, "--out", str(project / out), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@pytest.fixture(scope="module")
def whole(project: Path) -> Any:
    return _run(project, "whole", board="nucleo_l4r5zi")


def test_every_stage_has_its_figures(project: Path, whole: Any) -> None:
    names = [stage.name for stage in whole.stages]
    assert names == ["original", "train", "filters -50%", "prune 50%", "cluster 8", "PCQAT"]
    original, trained, small, pruned, clustered, last = [s.figures for s in whole.stages]
    assert whole.metric == "accuracy"
    assert whole.samples == 128
    assert trained.int8_score > 0.85 > original.int8_score
    assert last.int8_score > 0.75
    for cost in ("macs", "arena_bytes", "file_bytes", "weights_bytes", "flash_bytes",
                 "ram_bytes", "instructions", "parameters"):  # fmt: skip
        assert getattr(small, cost) < getattr(trained, cost), cost
    assert small.macs < 0.5 * trained.macs
    assert pruned.zeros > 0.4
    assert pruned.gzip_bytes < small.gzip_bytes
    assert clustered.zeros > 0.4
    assert clustered.gzip_bytes < pruned.gzip_bytes
    assert last.zeros > 0.4
    assert not any("computes something else" in n for s in whole.stages for n in s.figures.notes)
    written = json.loads((project / "whole" / JSON).read_text())
    assert written["complete"] is True
    assert len(written["stages"]) == 6
    final = (project / "whole" / whole.result).read_bytes()
    assert final == (project / "whole" / whole.stages[-1].tflite).read_bytes()
    described = read_metadata(final)
    assert described["recipe"] == "train > filters -50% > prune 50% > cluster 8 > PCQAT"
    assert len(described["data_sha256"]) == len(described["source_sha256"]) == 64


def test_a_killed_run_goes_on_and_ends_the_same(project: Path, whole: Any) -> None:
    process = _start(project, "killed")
    deadline = time.monotonic() + 240
    while not (project / "killed" / "2-filters" / "stage.json").exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (project / "killed" / "5-qat").exists()
    again = _start(project, "killed")
    printed, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
    stages = json.loads(printed)["stages"]
    assert [stage["reused"] for stage in stages][:3] == [True, True, True]
    assert stages[-1]["reused"] is False
    assert [s["sha256"] for s in stages] == [s.sha256 for s in whole.stages]
    assert not list((project / "killed").glob(".*.tmp"))


def test_only_what_changed_is_done_again(project: Path, whole: Any) -> None:
    recipe = project / "recipe.toml"
    recipe.write_text(_RECIPE.replace("clusters = 8", "clusters = 6"))
    try:
        changed = _run(project, "whole")
    finally:
        recipe.write_text(_RECIPE)
    assert [stage.reused for stage in changed.stages] == [True] * 4 + [False] * 2
    assert changed.stages[3].sha256 == whole.stages[3].sha256
    images, labels = keraskit.pictures(64, 9)
    kept = (project / "test.npz").read_bytes()
    np.savez(project / "test.npz", images=images, labels=labels)
    try:
        recipe.write_text(_RECIPE.replace("clusters = 8", "clusters = 6"))
        judged = _run(project, "whole")  # other test data train nothing again
    finally:
        recipe.write_text(_RECIPE)
        (project / "test.npz").write_bytes(kept)
    assert all(stage.reused for stage in judged.stages)
    assert judged.samples == 64


def test_a_network_too_large_for_its_board_is_a_note(project: Path) -> None:
    recipe = project / "small.toml"
    recipe.write_text(_RECIPE.partition("[[step]]")[0] + '[[step]]\ndo = "train"\nepochs = 0\n')
    result, _ = run(CompressRequest(recipe, out=project / "small", board="nucleo_f030r8"))
    figures = result.stages[-1].figures
    assert figures.instructions is not None or "nucleo_f030r8" in figures.notes[-1]


def test_one_run_at_a_time(project: Path) -> None:
    from filelock import FileLock

    (project / "busy").mkdir()
    with FileLock(project / "busy" / ".lock"), pytest.raises(RequestError, match="another"):
        _run(project, "busy")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"net.keras"', '"no.keras"', "no.keras does not exist"),
        ('"train.npz"', '"no.npz"', "there is no"),
        ("remove = 0.5", 'remove = 0.5\nlayers = ["nothing"]', "names 'nothing'"),
        ("epochs = 1", 'epochs = 1\ncustom_objects = "no.py:f"', "no.py"),
    ],
)
def test_what_is_wrong_is_said(project: Path, old: str, new: str, told: str) -> None:
    recipe = project / "wrong.toml"
    text = _RECIPE.replace("epochs = 5", "epochs = 0")
    assert old in text
    recipe.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=told.replace(".", r"\.")):
        run(CompressRequest(recipe, out=project / "wrong"))


def test_without_tensorflow_the_extra_is_named(project: Path, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['tensorflow'] = None; from tinydeploy.cli import main; main()"
    argv = [sys.executable, "-c", hidden, "compress", str(project / "recipe.toml")]
    done = subprocess.run(
        [*argv, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: TensorFlow is not installed\nhint: pip install 'tinydeploy[train]'\n"
    )
    assert not (tmp_path / "out").exists()
