"""Builds a batch for a board with Helium, which only QEMU emulates, and runs it there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.kernels import batch
from tests.kernels.batch import Variant
from tests.kernels.building import COMMON, Builder
from tinydeploy.board import Board
from tinydeploy.boards import load
from tinydeploy.emit.board import board_files
from tinydeploy.paths import KERNELS
from tinydeploy.plan.plan import Optimize
from tinydeploy.runners.pipe import PipeTransport
from tinydeploy.toolchains.base import Toolchain

MAIN = Path(__file__).with_name("m55_main.c")
_INPUTS = 0x6000_0000  # DDR4 of the MPS3 boards
_RUN_SECONDS = 120


def board() -> Board:
    return load("mps3_an547")


def build(toolchain: Toolchain, variants: Sequence[Variant], folder: Path, objects: Path) -> Path:
    """The firmware.

    Args:
        folder: Of what belongs to this batch.
        objects: Of kernels, shared between batches.
    """
    builder = Builder(toolchain, board().core, objects, Optimize.SPEED)
    for name, text in {**board_files(board()), "batch.h": batch.HEADER}.items():
        (folder / name).write_text(text)
    models = folder / "models.c"
    models.write_text(batch.source_of(variants))
    own = [f"-I{folder}", f"-DTD_INPUTS={_INPUTS:#x}u"]
    sources = [
        MAIN,
        *(p for p in sorted(folder.glob("*.c")) if p.name not in ("models.c", "libc.c")),
    ]
    compiled = [
        *builder.compile_all([KERNELS / name for name in batch.kernel_sources(variants)]),
        builder.compile(COMMON / "libc.c", toolchain.memory_function_flags()),
        builder.compile(models, ["-O0"], folder),
        *(builder.compile(source, own, folder) for source in sources),
    ]
    return builder.link(compiled, folder / "batch.elf", folder / "linker.ld")


def run(program: Path, variants: Sequence[Variant]) -> list[list[bytes]]:
    """All answers of a batch.

    Raises:
        AssertionError: The board fell silent, or a variant broke a rule; names it.
    """
    inputs = program.with_suffix(".inputs")
    inputs.write_bytes(
        b"".join(array.tobytes() for v in variants for arrays in v.case.inputs for array in arrays)
    )
    qemu = board().qemu
    assert qemu is not None
    argv = [
        "qemu-system-arm", "-machine", qemu.machine, "-kernel", program,
        "-device", f"loader,file={inputs},addr={_INPUTS:#x},force-raw=on",
        "-display", "none", "-monitor", "none", "-serial", "stdio",
    ]  # fmt: skip
    sizes = [[a.nbytes for arrays in v.case.expected for a in arrays] for v in variants]
    content = _read([str(a) for a in argv], sum(map(sum, sizes)) + len(variants))
    answers: list[list[bytes]] = []
    for variant, lengths in zip(variants, sizes, strict=True):
        assert len(content) > sum(lengths), f"{variant!r}: the board fell silent"
        answers.append([])
        for length in lengths:
            answers[-1].append(content[:length])
            content = content[length:]
        assert content[0] & 1 == 0, f"{variant!r} fails, or changes a register that it must keep"
        assert content[0] == 0, f"{variant!r} writes outside its tensors"
        content = content[1:]
    return answers


def _read(argv: Sequence[str], length: int) -> bytes:
    """What the board sends, `length` bytes or as much as comes in time."""
    content = bytearray()
    deadline = time.monotonic() + _RUN_SECONDS
    with PipeTransport(argv, "instructions") as transport:
        while len(content) < length and time.monotonic() < deadline:
            content += transport.read(1.0)
    return bytes(content)
