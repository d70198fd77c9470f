"""What engine tflm costs beside TFLite Micro alone: `TFLM_ROOT=DIR python benchmarks/tflm.py`.

Three firmwares a model and core: the one that answers verify, for the instructions of an inference
beside the published ones; and two small programs, one through td_model.h and one as a person writes
it, for what the glue adds in instructions and flash. The programs are in benchmarks/tflm_programs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import random_inputs
from tinydeploy.pipeline import Built

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
BOARDS = {
    "mps2_an386": "cortex-m4",
    "nucleo_l4r5zi": "cortex-m4",
    "mps2_an500": "cortex-m7",
    "mps3_an547": "cortex-m55",
}


@dataclass(frozen=True)
class Published:
    """TFLite Micro 90b983c with CMSIS-NN 4ab83cc, GCC 12.2 -O2, in a program written by hand:
    instructions of one Invoke() by core, and flash beside the model on the Cortex-M4."""

    m4: int
    m7: int
    m55: int
    flash: int

    def instructions(self, core: str) -> int:
        return int(getattr(self, core.replace("cortex-", "")))


PUBLISHED = {
    "kws": Published(7_697_888, 7_643_665, 1_813_669, 56_620),
    "vww": Published(24_101_872, 24_025_498, 6_558_236, 56_620),
    "ic": Published(29_861_587, 30_023_120, 4_910_097, 54_392),
    "ad": Published(582_906, 583_216, 149_971, 30_804),
    "sww": Published(2_227_046, 2_188_124, 407_360, 54_020),
    "person_detect": Published(22_928_411, 22_715_850, 6_508_041, 46_524),
    "micro_speech": Published(1_495_374, 1_489_445, 1_008_203, 47_232),
    "hello_world": Published(3_523, 3_549, 2_128, 30_804),
}

PROGRAMS = Path(__file__).resolve().parent / "tflm_programs"
READS = 600


def measure(name: str, core: str, board: str, folder: Path) -> dict[str, int | float | str]:
    """Builds the three firmwares and runs them."""
    request = BuildRequest(
        model=MODELS / f"{name}_int8.tflite",
        board=board,
        engine="tflm",
        out=folder / f"{name}-{board}",
        cache=folder / "cache",
    )
    built = pipeline.build(request)
    report, _ = pipeline.prove(built, random_inputs(built.prepared.graph, 3))
    if report.outcome != "verified":
        raise pipeline.differs(report)
    count = report.instructions.inference or 0
    memory = built.report.memory
    assert memory is not None
    programs = {p: _program(request, p, folder) for p in ("glue", "direct")}
    counts = {p: _count(program) for p, program in programs.items()}
    published = PUBLISHED[name].instructions(core)
    return {
        "model": name,
        "board": board,
        "instructions": count,
        "published": published,
        "percent": round(100 * (count / published - 1), 2),
        "arena": memory.arena_bytes,
        "arena_used": memory.arena_used_bytes or 0,
        "glue_flash": _code_bytes(programs["glue"]),
        "flash": PUBLISHED[name].flash,
        "direct_flash": _code_bytes(programs["direct"]),
        "glue_instructions": counts["glue"] - counts["direct"],
        "glue_percent": round(100 * (counts["glue"] / counts["direct"] - 1), 4),
    }


def _program(request: BuildRequest, program: str, folder: Path) -> Built:
    changed = {"app": PROGRAMS / program, "out": folder / f"{request.out}-{program}"}
    return pipeline.build(BuildRequest(**{**vars(request), **changed}))


def _code_bytes(built: Built) -> int:
    memory = built.report.memory
    return (memory.code_bytes or 0) if memory else 0


def _count(built: Built) -> int:
    """What the program says of its second run."""
    runner = pipeline.find_runner(None, built.prepared.board)
    told = b""
    with runner.open(built.firmware) as transport:
        for _ in range(READS):
            told += transport.read(0.2)
            if found := re.search(rb"count (\d+) output \d+\n", told):
                return transport.scale(int(found[1]), _hz(built))
    raise SystemExit(f"{built.firmware.elf} said {told!r}")


def _hz(built: Built) -> int:
    mcu = built.prepared.board.mcu
    assert mcu is not None
    return mcu.clock_hz


def main() -> None:
    """Prints a row a model and board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(PUBLISHED))
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for board in chosen.boards.split(","):
            for name in chosen.models.split(","):
                rows.append(measure(name, BOARDS[board], board, Path(folder)))
                print(rows[-1], file=sys.stderr, flush=True)
    if chosen.json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
