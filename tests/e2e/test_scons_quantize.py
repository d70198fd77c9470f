"""`env.Quantize` in a SConstruct of a user's: made when needed, and only then."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY, require
from tinydeploy import process

DIGITS = REPOSITORY / "examples" / "digits"
SCONSTRUCT = """
import tinydeploy.scons
env = Environment(tools=[tinydeploy.scons.generate])
model = env.Quantize("small.tflite", "digits_float.tflite", data="data.npz", samples=40,
                     calibration=ARGUMENTS.get("calibration", "minmax"))
elf = env.TinyFirmware(model=model, board="nucleo_l4r5zi", out="out")
AlwaysBuild(Alias("verify", elf, tinydeploy.scons.verify))
Default(elf)
"""

pytestmark = pytest.mark.toolchain


@pytest.fixture
def project(tmp_path: Path) -> Path:
    require("ptq", "oracle", "arm-gnu")
    shutil.copy(DIGITS / "digits_float.tflite", tmp_path)
    shutil.copy(DIGITS / "digits_calibration.npz", tmp_path / "data.npz")
    (tmp_path / "SConstruct").write_text(SCONSTRUCT)
    return tmp_path


def scons(folder: Path, *words: str) -> process.Result:
    argv = [sys.executable, "-P", "-m", "SCons", "-Q", *words]
    return process.run(argv, timeout_s=120, cwd=folder)


def test_from_the_float_model_to_the_proof(project: Path) -> None:
    first = scons(project, "verify")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.startswith("QUANTIZE small.tflite")
    assert "bit-exact" in first.stdout
    before = (project / "small.tflite").read_bytes()

    again = scons(project)
    assert again.stdout.strip() == "scons: `out/firmware.elf' is up to date."

    (project / "data.npz").write_bytes((DIGITS / "digits_eval.npz").read_bytes())
    changed = scons(project)
    assert changed.returncode == 0, changed.stdout + changed.stderr
    assert "QUANTIZE small.tflite" in changed.stdout
    assert "LD firmware.elf" in changed.stdout
    assert (project / "small.tflite").read_bytes() != before

    assert scons(project, "-c").returncode == 0
    assert not (project / "small.tflite").exists()
    assert scons(project, "-c").returncode == 0  # there is no model to plan by any more


def test_what_cannot_be_quantised_ends_the_build(project: Path) -> None:
    failed = scons(project, "calibration=luck")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: 'luck' is no calibration method\nhint: ")
    assert not (project / "out").exists()

    text = SCONSTRUCT.replace("samples=40", "sample=40")
    (project / "SConstruct").write_text(text)
    failed = scons(project)
    assert failed.returncode == 2
    assert failed.stderr == "error: unknown option sample=\nhint: did you mean samples=?\n"

    (project / "SConstruct").write_text(SCONSTRUCT.replace("data.npz", "absent.npz"))
    failed = scons(project)
    assert failed.returncode == 2
    assert "there is no absent.npz" in failed.stderr
