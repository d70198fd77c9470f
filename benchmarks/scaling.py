"""How builds and plans grow with the network: `python benchmarks/scaling.py`.

Networks of separable convolutions (see generated.py) of growing width, image and depth, and one of
200 layers and 5 MB. Times are processor seconds of this process and its children, and wall-clock
seconds of the whole build; counts are those of the Cortex-M4.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks import command
from benchmarks.generated import separable
from tinydeploy import boards, pipeline, profiling
from tinydeploy.build import BuildRequest
from tinydeploy.plan.plan import Optimize, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.tflite.reader import loads

_BOARD = "generic_cortex_m4"
# More multiply-accumulates than this are not run.
_MOST_MACS = 60_000_000


@dataclass(frozen=True)
class Size:
    """A network: see `generated.separable()`."""

    channels: int
    image: int
    layers: int


SERIES = {
    "channels": [Size(c, 16, 9) for c in (8, 16, 32, 64, 128, 256, 512)],
    "image": [Size(8, i, 9) for i in (16, 32, 64, 96, 128, 160, 224)],
    "layers": [Size(16, 32, n) for n in (1, 2, 5, 10, 20, 50, 100, 200, 1000)],
    "5 MB": [Size(224, 16, 200)],
}


@dataclass(frozen=True)
class Row:
    """What a network took.

    Attributes:
        plan_s, build_s: Processor seconds to plan, and from the file to the ELF.
        wall_s: Seconds of the build.
        per_mac: Instructions; None where it was not run.
    """

    model_bytes: int
    macs: int
    plan_s: float
    build_s: float
    wall_s: float
    per_mac: float | None
    arena_bytes: int
    bound_bytes: int


def measure(size: Size, folder: Path, toolchain: str, run: bool) -> Row:
    """Builds a network from nothing, and runs it where it is small enough."""
    content = separable(size.channels, size.image, size.layers)
    model = folder / f"c{size.channels}-i{size.image}-l{size.layers}.tflite"
    model.write_bytes(content)
    graph = loads(content, model.stem)
    target = Target(boards.load(_BOARD).core.isas, Optimize.SPEED)
    before = time.process_time()
    plan = make_plan(graph, target)
    plan_s = time.process_time() - before

    request = BuildRequest(model=model, board=_BOARD, toolchain=toolchain, out=folder / model.stem)
    before, started = _cpu_s(), time.monotonic()
    built = pipeline.build(request)
    build_s, wall_s = _cpu_s() - before, time.monotonic() - started
    macs = sum(call.macs for call in plan.calls)
    per_mac = None
    if run and macs <= _MOST_MACS:
        layers = profiling.profile(built).layers
        per_mac = sum(layer.instructions or 0 for layer in layers) / macs
    arena, bound = plan.arena_bytes, plan.lower_bound_bytes
    return Row(len(content), macs, plan_s, build_s, wall_s, per_mac, arena, bound)


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--series", default=",".join(SERIES), help="comma list")
    parser.add_argument("--toolchain", default="auto")
    parser.add_argument("--no-run", action="store_true", help="only build")
    options = parser.parse_args()
    series = command.chosen(parser, options.series, SERIES)
    table = Table(title=f"{_BOARD}, {options.toolchain}")
    for column in ("channels", "image", "layers", "model", "MACs", "plan s", "build s", "wall s",
                   "instr/MAC", "RAM", "bound", "over"):  # fmt: skip
        table.add_column(column, justify="right")
    for name in series:
        for size in SERIES[name]:
            print(f"  {size}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                row = measure(size, Path(folder), options.toolchain, not options.no_run)
            table.add_row(
                str(size.channels),
                str(size.image),
                str(size.layers),
                f"{row.model_bytes:,}",
                f"{row.macs:,}",
                f"{row.plan_s:.2f}",
                f"{row.build_s:.1f}",
                f"{row.wall_s:.1f}",
                "-" if row.per_mac is None else f"{row.per_mac:.2f}",
                f"{row.arena_bytes:,}",
                f"{row.bound_bytes:,}",
                f"{row.arena_bytes / row.bound_bytes - 1:.1%}",
            )
        table.add_section()
    Console(width=130).print(table)
    return 0


if __name__ == "__main__":
    command.run(main)
