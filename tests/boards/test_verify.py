"""Every board: its own ELF links, boots in an emulator, and answers what the model answers.

The largest model that fits goes to the first board of each serial port, core and boot ROM; the
digits to all others. What does not depend on the board is compiled once a core.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.boards.kit import CORTEX_M, SHIPPED, kind
from tests.support import MODELS, REPOSITORY, require
from tinydeploy import boards, firmware, fit, pipeline, summary
from tinydeploy.board import Board
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import random_inputs
from tinydeploy.oracle import Oracle, open_oracle
from tinydeploy.pipeline import Built, Prepared
from tinydeploy.plan.plan import Optimize
from tinydeploy.steps import ELF, Steps
from tinydeploy.toolchains import find

pytestmark = pytest.mark.toolchain

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
KWS = MODELS / "kws_int8.tflite"
BOARD_HEADER = "td_registers.h"

_objects: dict[object, Path] = {}


def prepared_for(board: Board, folder: Path) -> Prepared:
    """kws where it is worth its time and fits, else the digits."""
    first = next(b for b in CORTEX_M if kind(b) == kind(board))
    if board == first and KWS.is_file():
        larger = pipeline.prepare(BuildRequest(model=KWS, board=board.name, out=folder))
        if fit.fits(larger.plan, board):
            return larger
    return pipeline.prepare(BuildRequest(model=DIGITS, board=board.name, out=folder))


@cache
def oracle_of(model: Path) -> Oracle:
    prepared = pipeline.prepare(BuildRequest(model=model, board="host"))
    return open_oracle(prepared.graph, prepared.content)


def compiled_once(steps: Steps, files: Mapping[str, str], objects: Path) -> None:
    """Compiles what no board before has, and copies the rest."""
    headers = [(n, t) for n, t in files.items() if n.endswith(".h") and n != BOARD_HEADER]
    shared = hash(tuple(headers))
    for target, source in steps.objects.items():
        text = files[source.removeprefix("src/")]
        own = files[BOARD_HEADER] if BOARD_HEADER in text else ""
        key = (source, text, own, shared, steps.flags(source), steps.toolchain.name)
        if key not in _objects:
            steps.compile(source, target)
            kept = objects / f"{len(_objects)}.o"
            shutil.copy(steps.folder / target, kept)
            _objects[key] = kept
        else:
            (steps.folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_objects[key], steps.folder / target)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.mark.parametrize("board", CORTEX_M, ids=lambda board: board.name)
def test_every_board_boots_and_answers(board: Board, tmp_path: Path, objects: Path) -> None:
    require("arm-gnu", *board.runners[:1])
    prepared = prepared_for(board, tmp_path)
    files = prepared.module.files
    steps = Steps(
        tmp_path, prepared.graph.name, prepared.module, board, find("arm-gnu", for_host=False),
        Optimize.SPEED, strict=True,
    )  # fmt: skip
    for name, text in files.items():
        steps.write(f"src/{name}", text)
    compiled_once(steps, files, objects)
    steps.link()
    built = firmware.read(tmp_path / ELF, board)
    assert_in_its_memories(tmp_path / ELF, board)
    if not board.runners:
        return

    samples = random_inputs(prepared.graph, 2)
    report, _ = pipeline.prove(
        Built(prepared, built, summary.built(prepared, built, 0.0)),
        samples,
        runner=board.runners[0],
        oracle=oracle_of(prepared.request.model),
    )
    assert report.outcome == "verified"


def assert_in_its_memories(elf: Path, board: Board) -> None:
    """Stack pointer and reset vector are where the core looks; nothing lies outside."""
    assert board.flash is not None
    assert board.ram is not None
    with elf.open("rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            start, size = segment["p_paddr"], segment["p_filesz"]
            if size:
                assert board.flash.origin <= start <= start + size <= board.flash.end
            if size and start <= board.vectors < start + size:
                vectors = segment.data()[board.vectors - start :]
    assert int.from_bytes(vectors[:4], "little") == board.ram.end
    assert board.vectors < int.from_bytes(vectors[4:8], "little") < board.flash.end


def test_every_board_has_an_emulator() -> None:
    """But for one whose Helium none here models; its kernels are verified on mps3_an547."""
    without = [board for board in SHIPPED if not board.runners]
    assert [board.name for board in without] == ["alif_e7_devkit"]
    assert all(board.core == boards.load("mps3_an547").core for board in without)


def test_forty_real_boards() -> None:
    real = [b for b in CORTEX_M if not b.name.startswith(("generic_", "mps"))]
    assert len(real) >= 40
    cores = {b.core.title for b in CORTEX_M}
    assert cores >= {f"Cortex-{m}" for m in ("M0", "M0+", "M3", "M4", "M7", "M33", "M55")}
