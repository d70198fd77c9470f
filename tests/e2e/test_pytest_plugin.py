"""A user's own tests on an emulated board: the pytest plugin, in a project of its own."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from tests.e2e.building import MODEL
from tests.support import REPOSITORY
from tinydeploy import process

pytestmark = pytest.mark.toolchain

DATA = REPOSITORY / "examples" / "digits" / "digits_eval.npz"
TESTS = f"""
import numpy as np, pytest
from tinydeploy.errors import InputError

@pytest.fixture(scope="session")
def digits():
    with np.load({str(DATA)!r}) as data:
        images, labels = (data[name] for name in data.files)
    return images.astype(np.float32), labels

def test_reads_digits(device, digits):
    images, labels = digits
    answers = device.run(images[:20].reshape(20, 8, 8, 1))
    assert answers.dtype == np.float64
    assert (answers.reshape(20, 10).argmax(1) == labels[:20]).mean() > 0.8

def test_stored_numbers(device):
    zeros = np.zeros((8, 8, 1), np.int8)
    one = device.run(zeros)
    assert one.dtype == np.int8
    assert np.array_equal(device.run(np.stack([zeros, zeros]))[1], one)
    assert device.count > 10_000
    assert device.flash_bytes < 64 * 1024

@pytest.mark.parametrize("wrong", [np.zeros((3, 3), np.int8), np.zeros(64, np.int32)])
def test_wrong_arrays(device, wrong):
    with pytest.raises(InputError):
        device.run(wrong)
    with pytest.raises(InputError):
        device.run(wrong, wrong)
    with pytest.raises(InputError, match="NaN or infinity"):
        device.run(np.full((8, 8, 1), np.nan))

@pytest.mark.tinydeploy(board="host")
def test_marked(device):
    assert device.board == "host"
"""


def run(folder: Path, *options: str, tests: str = TESTS) -> process.Result:
    """pytest on a user's test file in `folder`."""
    (folder / "test_user.py").write_text(tests)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTEST_ADDOPTS": ""}
    loaded = [e.value for e in importlib.metadata.entry_points(group="pytest11")]
    plugin = [] if "tinydeploy.pytest_plugin" in loaded else ["-p", "tinydeploy.pytest_plugin"]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options]
    return process.run(argv, timeout_s=200, cwd=folder, env=env)


def test_on_two_boards(tmp_path: Path):
    boards = ["--tinydeploy-board", "nucleo_l4r5zi", "--tinydeploy-board", "nucleo_f030r8"]
    result = run(tmp_path, "--tinydeploy-model", str(MODEL), *boards, "-vv")
    assert result.returncode == 0, result.stdout
    assert "test_reads_digits[nucleo_f030r8] PASSED" in result.stdout
    assert "9 passed" in result.stdout
    assert (tmp_path / "build" / "digits_int8-nucleo_l4r5zi" / "firmware.elf").exists()


ONE = "def test_one(device):\n    assert device.counts == 'nanoseconds'\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tinydeploy-board", "host"], "device needs a model: --tinydeploy-model"),
        (["--tinydeploy-model", str(MODEL)], "device needs a board: --tinydeploy-board"),
        (["--tinydeploy-model", str(MODEL), "--tinydeploy-board", "host",
          "--tinydeploy-on", "magic"], "unknown runner 'magic'"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(tmp_path: Path, options: list[str], message: str):
    result = run(tmp_path, *options, tests=ONE)
    assert result.returncode == 1
    assert message in result.stdout
    assert "Traceback" not in result.stdout
    assert "another exception" not in result.stdout


def test_named_in_the_ini_file(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(MODEL.read_bytes())
    ini = "[pytest]\ntinydeploy_model = m.tflite\ntinydeploy_board = nucleo_l4r5zi\n"
    (tmp_path / "pytest.ini").write_text(ini)
    result = run(tmp_path, "--tinydeploy-on", "host", tests=ONE)
    assert result.returncode == 0, result.stdout


def test_a_wrong_mark(tmp_path: Path):
    tests = "import pytest\n@pytest.mark.tinydeploy(modle='x')\n" + ONE
    result = run(tmp_path, tests=tests)
    assert result.returncode != 0
    assert "mark tinydeploy takes model= and board=, not 'modle'" in result.stdout + result.stderr
