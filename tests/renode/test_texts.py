"""What is written for Renode, letter by letter; `python -m tests.renode.test_texts` writes it anew.

The golden files were carried out by Renode 1.16.1 when they were made; where there is a Renode,
test_renode.py does so again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinydeploy import boards
from tinydeploy.board import HOST, Board, RenodePlatform
from tinydeploy.errors import InputError, RequestError
from tinydeploy.renode import models, platform, suite

GOLDEN = Path(__file__).with_name("golden")
# One of each kind of core, memory map, serial port and counter.
BOARDS = ("nucleo_l4r5zi", "nucleo_f030r8", "bluepill_f103", "nucleo_f746zg", "microbit",
          "mps2_an505")  # fmt: skip


def texts(board: Board) -> Iterator[tuple[str, str]]:
    """File name -> text."""
    yield f"{board.name}.repl", platform.repl(board)
    yield f"{board.name}.resc", platform.resc(board, f"{board.name}.repl", "firmware.elf")


def suite_texts() -> Iterator[tuple[str, str]]:
    board = boards.load("nucleo_l4r5zi")
    x = np.arange(200, dtype=np.int8).reshape(1, 200)
    y = np.array([[-128, 0, 127]], np.int8)
    test = suite.golden(board, (x,), (y,))
    yield "suite.robot", suite.render(board, "a model\n*** Settings ***", [test, test], 0.1234)
    for stage in test.stages:
        yield f"golden_{stage.name}.resc", stage.script


def all_texts() -> dict[str, str]:
    # The version stays out of the golden files.
    found = [text for name in BOARDS for text in texts(boards.load(name))] + [*suite_texts()]
    return {
        name: re.sub(r"tinydeploy \d[\w.]*", "tinydeploy VERSION", text) for name, text in found
    }


def test_every_letter() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(all_texts())
    for name, text in all_texts().items():
        assert text == (GOLDEN / name).read_text("utf-8"), f"{name}: see this module's docstring"


@pytest.mark.parametrize("board", [b for b in boards.all_boards() if not b.is_host], ids=str)
def test_every_board_is_described(board: Board) -> None:
    assert board.mcu is not None
    assert board.console is not None
    uart = board.mcu.uarts[board.console.uart]
    if uart.ip not in models.UARTS:
        assert platform.source(board) is None
        with pytest.raises(RequestError, match=uart.ip):
            platform.check(board)
        return
    platform.check(board)
    assert platform.source(board) == models.UARTS[uart.ip].model
    text = platform.repl(board)
    names = re.findall(r"^(\w+): [\w.]+ @ sysbus", text, re.MULTILINE)
    assert len(set(names)) == len(names)
    assert {"cpu", "nvic", board.console.uart} <= set(names)
    assert f"{uart.address:08X}" in text
    for memory in board.mcu.memories:
        assert (
            f"sysbus 0x{memory.origin:08X}\n    size: {memory.bytes:#X}".replace("0X", "0x") in text
        )
    assert "@http" not in text
    assert "ApplySVD" not in text


def test_a_cycle_counter_only_where_it_is_exact() -> None:
    assert "DWT" in platform.repl(boards.load("nucleo_l4r5zi"))
    assert "DWT" not in platform.repl(boards.load("nucleo_l4r5zi"), dwt=False)
    assert "DWT" not in platform.repl(boards.load("nucleo_f030r8"))


def test_names_of_memories_that_are_taken() -> None:
    board = boards.load("nucleo_l4r5zi")
    assert board.mcu is not None
    names = ("cpu", "lpuart1", "a b\n", "2nd")
    memories = tuple(
        replace(memory, name=name) for name, memory in zip(names, board.mcu.memories, strict=True)
    )
    text = platform.repl(replace(board, mcu=replace(board.mcu, memories=memories)))
    found = re.findall(r"^(\S+): Memory", text, re.MULTILINE)
    assert found == ["cpu_memory", "lpuart1_memory", "a_b_", "_2nd"]


def test_a_platform_of_renodes_own() -> None:
    own = RenodePlatform("@platforms/boards/stm32f4_discovery-kit.repl", "usart2")
    board = replace(boards.load("netduinoplus2"), renode=own)
    platform.check(board)
    assert platform.source(board) == own.platform
    assert platform.uart(board) == "sysbus.usart2"
    told = platform.commands(board, "$ORIGIN", "x.repl", "firmware.elf")
    assert f"machine LoadPlatformDescription {own.platform}" in told
    assert "sysbus.nvic Frequency 16000000" in told


@pytest.mark.parametrize("name", ["x.repl", "@a b.repl", '@x.repl"; quit', "@https://x/y.repl\n"])
def test_a_platform_is_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="platform is"):
        RenodePlatform(name, "usart2")


def test_a_quote_in_a_title_stays_text() -> None:
    board = replace(boards.load("nucleo_l4r5zi"), title='A "B\\" $C')
    text = platform.resc(board, "a.repl", "b.elf")
    for line in text.splitlines():
        if line.startswith("echo"):
            assert re.fullmatch(r'echo "[^"\\$]*"', line)


def test_the_host_is_no_board() -> None:
    with pytest.raises(RequestError, match="this machine"):
        platform.check(HOST)


@pytest.mark.parametrize("folder", ["a b", "a;b", "a$b", "a'b"])
def test_folders_that_scripts_cannot_name(folder: str, tmp_path: Path) -> None:
    from tinydeploy.build import BuildRequest

    order = suite.Suite(BuildRequest(tmp_path / "none.tflite", "microbit"), tmp_path / folder)
    with pytest.raises(InputError, match="Renode reads no script"):
        suite.write_suite(order)


if __name__ == "__main__":
    for _name, _text in all_texts().items():
        (GOLDEN / _name).write_text(_text, "utf-8")
