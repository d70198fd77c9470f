"""examples/ci: the steps that a user's CI runs, run here, on the digits."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import REPOSITORY, require
from tinydeploy import process

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

EXAMPLE = REPOSITORY / "examples" / "ci"


def steps(name: str) -> list[str]:
    """The commands of a workflow, without what installs."""
    yaml = pytest.importorskip("yaml")
    content: Any = yaml.safe_load((EXAMPLE / name).read_text())
    if name == "gitlab.yml":
        return list(content["firmware"]["script"])
    runs = [step["run"] for step in content["jobs"]["firmware"]["steps"] if "run" in step]
    return [line for text in runs[1:] for line in text.strip().split("\n")]


def run(folder: Path, command: str) -> process.Result:
    beside = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}", "PYTEST_ADDOPTS": ""}
    loaded = [e.value for e in importlib.metadata.entry_points(group="pytest11")]
    if "tinydeploy.pytest_plugin" not in loaded:  # installed before there was a plugin
        env |= {"PYTEST_PLUGINS": "tinydeploy.pytest_plugin"}
    return process.run(["sh", "-c", command], timeout_s=200, cwd=folder, env=env)


def test_both_do_the_same():
    assert steps("github.yml") == steps("gitlab.yml")


def test_every_step(tmp_path: Path):
    require("zig", "tinydeploy")
    for name in ("tinydeploy.toml", "pytest.ini", "test_model.py"):
        shutil.copy(EXAMPLE / name, tmp_path)
    digits = REPOSITORY / "examples" / "digits"
    shutil.copy(digits / "digits_int8.tflite", tmp_path / "model.tflite")
    shutil.copy(digits / "digits_eval.npz", tmp_path / "samples.npz")
    *proofs, check, tests = steps("github.yml")
    for command in [*proofs, f"{check} --update build/*/report.json", check, tests]:
        result = run(tmp_path, command)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    assert "6 passed" in result.stdout
    for path in ("junit/l4.xml", "junit/tests.xml", "pages/u5.html"):
        assert (tmp_path / path).stat().st_size > 100

    baseline = tmp_path / "baseline.json"
    content = json.loads(baseline.read_text())
    content["builds"]["build/model-nucleo_l4r5zi/report.json"]["flash_bytes"] -= 4
    baseline.write_text(json.dumps(content))
    result = run(tmp_path, check)
    assert result.returncode == 1
    assert "grew" in result.stdout
