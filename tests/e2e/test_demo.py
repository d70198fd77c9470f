"""`tinydeploy demo` as a newcomer runs it: the installed package, with wheels alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import require
from tinydeploy.report.report import read

pytestmark = pytest.mark.slow


def test_demo_needs_nothing_but_wheels(tmp_path: Path) -> None:
    require("tinydeploy", "zig", "unicorn", "oracle")
    done = subprocess.run(
        [Path(sys.executable).parent / "tinydeploy", "demo"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "build" / "digits_int8-nucleo_l4r5zi" / "report.json")
    assert report.outcome == "verified"
    assert report.toolchain is not None
    assert report.toolchain.name == "zig"
    assert report.verify is not None
    assert (report.verify.oracle.name, report.verify.inputs) == ("tflite-micro", 450)
    assert all(layer.equal for layer in report.layers if layer.kernel)
    # What the oracle gets right on the host, see tests/golden/test_digits.py.
    assert report.accuracy is not None
    assert (report.accuracy.correct, report.accuracy.inputs) == (447, 450)
    assert "447 of 450" in done.stdout
