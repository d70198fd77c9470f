"""What coming to the rated speed takes of the flash: `python benchmarks/clocks.py [BOARD ...]`.

The smallest program there is, for each board that has a clock to set up, by GCC: with the set-up
and without it, at the speed after reset.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from tests.boards import kit
from tinydeploy import boards
from tinydeploy.board import Board


def _flash_bytes(board: Board) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return kit.build(board, "arm-gnu", "echo.c", Path(folder)).flash_bytes


def main(names: list[str]) -> None:
    table = Table("board", "after reset", "rated", "steps", "flash bytes more", box=None)
    chosen = [boards.load(name) for name in names] or boards.all_boards()
    for board in chosen:
        mcu = board.mcu
        if mcu is None or mcu.clock is None:
            continue
        slow = replace(board, mcu=replace(mcu, clock=None))
        more = _flash_bytes(board) - _flash_bytes(slow)
        speeds = (f"{hz / 1e6:.6g} MHz" for hz in (mcu.clock_hz, mcu.rated_hz))
        table.add_row(board.name, *speeds, str(len(mcu.clock.steps)), str(more))
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
