"""`tinydeploy boards new`: what it writes is a board, whatever the microcontroller."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.boards.kit import CORTEX_M
from tests.support import REPOSITORY
from tinydeploy import boards
from tinydeploy.cli import main
from tinydeploy.emit.board import board_files
from tinydeploy.errors import InputError
from tinydeploy.scaffold import new_board

MCUS = sorted({board.mcu.name for board in CORTEX_M if board.mcu is not None})


@pytest.mark.parametrize("mcu", MCUS)
def test_every_microcontroller_makes_a_board(mcu: str, tmp_path: Path) -> None:
    path = new_board("mine", mcu, tmp_path, ())
    assert path == tmp_path / "mine" / "board.toml"
    board = boards.load("mine", [tmp_path])
    assert board.mcu is not None
    assert (board.name, board.mcu.name) == ("mine", mcu)
    assert (board.qemu, board.usb, board.flash_tools, board.bootloader_bytes) == (None, None, (), 0)
    assert board.mcu.clock == boards.load_mcu(mcu).clock  # crystal and supply are not known
    assert "startup.c" in board_files(board)


@pytest.mark.parametrize("mcu", ["stm32l4r5zi", "nrf52840", "rp2040", "atsamd21g18"])
def test_a_microcontroller_that_no_board_has(mcu: str, tmp_path: Path) -> None:
    (tmp_path / "mcu").mkdir()
    text = (REPOSITORY / "boards" / "mcu" / f"{mcu}.toml").read_text()
    (tmp_path / "mcu" / "chip.toml").write_text(text.replace(f'"{mcu}"', '"chip"', 1))
    new_board("mine", "chip", tmp_path, [tmp_path])
    board = boards.load("mine", [tmp_path])
    assert board.mcu is not None
    assert board.mcu.name == "chip"
    assert "startup.c" in board_files(board)


@pytest.mark.parametrize("name", ["", "Mine", "..", "../x", "host", "a b", "1st", "x" * 99])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no name for a board"):
        new_board(name, "rp2040", tmp_path, ())
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "boards" / "microbit", tmp_path / "microbit")
    before = (tmp_path / "microbit" / "board.toml").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        new_board("microbit", "nrf51822", tmp_path, ())
    assert (tmp_path / "microbit" / "board.toml").read_bytes() == before


def test_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "hardware"
    command = ["boards", "new", "mine", "--in", str(folder), "--mcu"]
    wrong = CliRunner().invoke(main, [*command, "rp2041"])
    assert wrong.exit_code != 0
    assert not folder.exists()
    told = CliRunner().invoke(main, [*command, "rp2040"])
    assert told.exit_code == 0, told.output
    assert "next: tinydeploy verify MODEL --board mine --boards" in told.output
    assert boards.load("mine", [folder]).core.name == "cortex-m0plus"
