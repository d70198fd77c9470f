"""What the real models cost, beside TFLite Micro with CMSIS-NN: `python benchmarks/models.py`.

Instructions of one inference are counted by QEMU (-icount shift=0) on the MPS2 and MPS3 boards;
arena and flash are of the same build. TFLite Micro's figures were measured on the same emulator
with GCC 12.2 -O2: one steady Invoke(), the arena it reports, flash without the model's flatbuffer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import random_inputs

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
BOARDS = {
    "cortex-m3": "mps2_an385",
    "cortex-m4": "mps2_an386",
    "cortex-m7": "mps2_an500",
    "cortex-m55": "mps3_an547",
}


@dataclass(frozen=True)
class Rival:
    """TFLite Micro with CMSIS-NN: instructions by core; arena and flash bytes on the M4."""

    m3: int
    m4: int
    m7: int
    m55: int
    arena: int
    flash: int

    def instructions(self, core: str) -> int:
        return int(getattr(self, core.replace("cortex-", "")))


RIVALS = {
    "kws": Rival(10_532_688, 7_697_888, 7_643_665, 1_813_669, 22_820, 56_620),
    "vww": Rival(31_959_257, 24_101_872, 24_025_498, 6_558_236, 100_708, 56_620),
    "ic": Rival(41_846_029, 29_861_587, 30_023_120, 4_910_097, 54_996, 54_392),
    "ad": Rival(955_934, 582_906, 583_216, 149_971, 2_580, 30_804),
    "sww": Rival(4_728_616, 2_227_046, 2_188_124, 407_360, 16_596, 54_020),
    "person_detect": Rival(30_327_144, 22_928_411, 22_715_850, 6_508_041, 82_308, 46_524),
    "micro_speech": Rival(1_512_499, 1_495_374, 1_489_445, 1_008_203, 6_836, 47_232),
    "hello_world": Rival(3_708, 3_523, 3_549, 2_128, 772, 30_804),
}


def measure(name: str, core: str, toolchain: str, optimize: str, folder: Path) -> dict[str, int]:
    """Builds and proves a model on QEMU; its instructions and bytes."""
    request = BuildRequest(
        model=MODELS / f"{name}_int8.tflite",
        board=BOARDS[core],
        toolchain=toolchain,
        optimize=optimize,
        out=folder / f"{name}-{core}",
        cache=folder / "cache",
    )
    built = pipeline.build(request)
    samples = random_inputs(built.prepared.graph, 1)
    report, _ = pipeline.prove(built, samples, runner="qemu")
    if report.outcome != "verified":
        raise pipeline.differs(report)
    memory = report.memory
    assert memory is not None
    return {
        "macs": sum(layer.macs for layer in report.layers),
        "instructions": report.instructions.inference or 0,
        "arena": memory.arena_bytes,
        "weights": memory.weights_bytes,
        "code": memory.code_bytes or 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(RIVALS), help="comma list")
    parser.add_argument("--core", choices=BOARDS, default="cortex-m4")
    parser.add_argument("--toolchain", default="arm-gnu")
    parser.add_argument("--opt", choices=["speed", "size"], default="speed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not MODELS.is_dir():
        sys.exit(f"the models are not at {MODELS}")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models.split(","):
            rows[name] = measure(name, options.core, options.toolchain, options.opt, Path(folder))
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(title=f"{options.core}, {options.toolchain}, --opt {options.opt}")
    for column in (
        "model", "instructions", "TFLM", "ratio", "/MAC", "arena", "TFLM", "weights",
        "flash beside", "TFLM",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, row in rows.items():
        rival = RIVALS[name]
        theirs = rival.instructions(options.core)
        table.add_row(
            name,
            f"{row['instructions']:,}",
            f"{theirs:,}",
            f"{row['instructions'] / theirs:.2f}",
            f"{row['instructions'] / row['macs']:.2f}",
            f"{row['arena']:,}",
            f"{rival.arena:,}",
            f"{row['weights']:,}",
            f"{row['code']:,}",
            f"{rival.flash:,}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
