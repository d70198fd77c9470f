"""Builds a board's files with a small main, without SCons, and talks to what runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support import REPOSITORY
from tinydeploy import boards, firmware, process
from tinydeploy.board import Board
from tinydeploy.emit.board import board_files
from tinydeploy.firmware import Firmware
from tinydeploy.plan.plan import Optimize
from tinydeploy.runners.base import Transport
from tinydeploy.toolchains import Link, find

SHIPPED = boards.all_boards()
CORTEX_M = tuple(board for board in SHIPPED if not board.is_host)
TOOLCHAINS = ("arm-gnu", "zig")
HERE = Path(__file__).parent


def boot_rom(board: Board) -> str:
    """What its boot ROM wants in the flash; "" for nothing."""
    return board.mcu.boot.ip if board.mcu is not None and board.mcu.boot is not None else ""


def kind(board: Board) -> tuple[str, ...]:
    """What of a board's C no other file has: its core, serial port, counter and boot ROM."""
    mcu, console = board.mcu, board.console
    assert mcu is not None
    assert console is not None
    return (
        board.core.name,
        board.core.fpu,
        mcu.uarts[console.uart].ip,
        boot_rom(board),
        mcu.counter.ip if mcu.counter else "",
    )


# The first board of each kind.
ONE_OF_EACH = tuple({kind(board): board for board in reversed(CORTEX_M)}.values())


def build(board: Board, toolchain: str, main: str, folder: Path) -> Firmware:
    """Compiles a board's files and a main of this folder, every warning an error, and links them.

    Raises:
        AssertionError: It does not compile or link, with the tool's messages.
    """
    compiler = find(toolchain, for_host=board.is_host)
    files = {**board_files(board), main: (HERE / main).read_text()}
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = sorted(name for name in files if name.endswith(".c"))
    flags = (*compiler.compile_flags(board.core, Optimize.SPEED), "-Werror")
    environment = compiler.environment(folder)

    def compile_one(name: str) -> str:
        target = str(Path(name).with_suffix(".o"))
        argv = [*compiler.cc, *flags, "-c", name, "-o", target]
        compiled = process.run(argv, timeout_s=120, cwd=folder, env=environment)
        assert compiled.returncode == 0, compiled.stderr
        return target

    with ThreadPoolExecutor(2) as pool:
        objects = tuple(pool.map(compile_one, sources))
    script = None if board.is_host else "linker.ld"
    linked = compiler.link(
        board.core, Link(folder, objects, script, "firmware.elf", "firmware.map")
    )
    assert linked.returncode == 0, linked.stderr
    return firmware.read(folder / "firmware.elf", board)


def answer(transport: Transport, sent: bytes, until: bytes = b"\n", timeout_s: float = 20) -> bytes:
    """What comes back after `sent`, up to `until`; what came if that is late or never."""
    transport.write(sent)
    received = b""
    deadline = time.monotonic() + timeout_s
    while until not in received and time.monotonic() < deadline:
        received += transport.read(0.5)
    return received


SCHEMA = REPOSITORY / "boards" / "board.schema.json"
