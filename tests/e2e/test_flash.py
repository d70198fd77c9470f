"""`flash` from a model on: built, written by a tool, proven at the board's serial port."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.boards.test_flash import FAKE_PYOCD, program
from tests.e2e import serialkit
from tests.e2e.building import MODEL, Project
from tests.support import REPOSITORY, require
from tinydeploy import boards
from tinydeploy.cli import main

pytestmark = pytest.mark.toolchain


@pytest.fixture(autouse=True)
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pyocd on PATH keeps its flash in."""
    program(tmp_path / "bin" / "pyocd", FAKE_PYOCD)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_FLASH", str(tmp_path / "chip.hex"))
    return tmp_path / "chip.hex"


def test_scons_flash(tmp_path: Path, chip: Path):
    project = Project(tmp_path)
    result = project.scons("flash", tool="pyocd", probe="X1")
    assert result.returncode == 0, result.stderr
    assert "pyocd load --target stm32l4r5zitx --no-wait --uid X1 firmware.hex" in result.stdout
    assert "bytes written to NUCLEO-L4R5ZI with pyocd, and compared" in result.stdout
    assert chip.exists()
    elf = str(tmp_path / "out" / "firmware.elf")
    wrong = CliRunner().invoke(main, ["flash", elf, "--board", "nucleo_l476rg"])
    assert wrong.exit_code == 1
    assert "is for nucleo_l4r5zi, not for nucleo_l476rg" in wrong.stderr
    result = project.scons("flash", tool="bossac")
    assert result.returncode != 0
    assert "error: nucleo_l4r5zi cannot be written with bossac" in result.stderr


@pytest.mark.emulator
def test_flash_and_verify(tmp_path: Path, chip: Path):
    """A board of the user's that QEMU is in the place of."""
    require("qemu")
    folder = tmp_path / "boards"
    (folder / "mine").mkdir(parents=True)
    text = (REPOSITORY / "boards" / "mps2_an386" / "board.toml").read_text()
    tools = '\n[[flash]]\ntool = "pyocd"\ntarget = "cortex_m"\n'
    (folder / "mine" / "board.toml").write_text(text.replace('"mps2_an386"', '"mine"', 1) + tools)
    board = boards.load("mine", [folder])
    out = tmp_path / "out"
    argv = ["flash", str(MODEL), "--board", "mine", "--boards", str(folder), "--out", str(out)]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 0, result.stderr
    assert "--board mine --on serial" in result.stdout
    with serialkit.on_terminal(board, out / "firmware.elf") as machine:
        proof = CliRunner().invoke(main, [*argv, "--and-verify", "--port", machine.port, "--json"])
    assert proof.exit_code == 0, proof.stderr
    report = json.loads(proof.stdout)
    assert (report["outcome"], report["runner"]["name"]) == ("verified", "serial")
    assert chip.exists()
