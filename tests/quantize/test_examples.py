"""The examples, as a user runs them: what their READMEs claim is what comes out."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY, require
from tinydeploy import process

EXAMPLES = REPOSITORY / "examples"
NAMES = ("digits", "faces", "gestures", "speakers", "vibration")


def _claims() -> dict[str, list[str]]:
    """The table of the examples' README, by name."""
    rows = re.findall(r"^\| \[(\w+)\]\S* \|(.*)\|$", (EXAMPLES / "README.md").read_text(), re.M)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def test_every_example_has_a_readme_and_a_row() -> None:
    assert sorted(_claims()) == sorted(NAMES)
    for name in NAMES:
        assert "## The data" in (EXAMPLES / name / "README.md").read_text()
        assert (EXAMPLES / name / "train.py").is_file()


@pytest.mark.slow
@pytest.mark.toolchain
@pytest.mark.parametrize("name", NAMES)
def test_it_ends_on_an_emulated_board_with_its_accuracy(name: str, tmp_path: Path) -> None:
    require("ptq", "oracle", "unicorn", "tinydeploy")
    shutil.copy(EXAMPLES / "run.sh", tmp_path)
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("build"))
    if not (tmp_path / name / f"{name}_float.tflite").exists():
        pytest.skip(f"{name} was not trained here")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = process.run(
        ["sh", str(tmp_path / "run.sh"), name],
        timeout_s=280,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    _, before, after, _, instructions, _, _ = _claims()[name]
    share, samples = re.fullmatch(r"(?:AUC )?([\d.]+)% of (\d+)", before).groups()  # type: ignore[union-attr]
    assert f"{samples} of {samples} inferences equal to tflite-micro, bit for bit" in done.stdout
    table = done.stdout[done.stdout.index(f"{samples} samples of ") :]
    assert float(_first_share(table, f"{name}_float")) == float(share)
    assert float(_first_share(table, f"{name}_int8")) == float(after.removeprefix("AUC ")[:-1])
    # They only go down, as kernels get better.
    told = re.search(r"([\d,]+) instructions at most", done.stdout)
    assert told is not None
    assert _number(told[1]) <= _number(instructions) * 1.02
    assert (tmp_path / name / "build" / "report.html").is_file()


def _first_share(table: str, row: str) -> str:
    found = re.search(rf"^ *{row} +([\d.]+)%", table, re.M)
    assert found is not None
    return found[1]


def _number(text: str) -> int:
    return int(text.replace(",", ""))
