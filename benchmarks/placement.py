"""How far placements are from the best ones: `python benchmarks/placement.py`.

For each model and core: the largest live set, the arena that first-fit in the best of four orders
takes, the one of the plan without moved activations, the smallest there is, and the plan's own.
The smallest is found and proven by a constraint solver where one is installed
(`pip install "tinydeploy[placement]"`), within a time limit: else it is what was proven, as
"[from, to]".
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks import command
from benchmarks.command import MODELS
from benchmarks.generated import separable
from tinydeploy import boards, transforms
from tinydeploy.graph import Graph
from tinydeploy.plan.memory import greedy, lower_bound, peak, place
from tinydeploy.plan.plan import Optimize, Target
from tinydeploy.plan.planner import make_plan, placement_problem
from tinydeploy.plan.search import ALIGNMENT, Problem
from tinydeploy.plan.select import lower
from tinydeploy.tflite.reader import loads

BOARDS = {
    "cortex-m0": "generic_cortex_m0",
    "cortex-m4": "generic_cortex_m4",
    "cortex-m55": "mps3_an547",
}
GENERATED = ((16, 32, 20), (16, 32, 50), (8, 64, 9))  # channels, image, layers


@dataclass(frozen=True)
class Best:
    """What is known of the smallest arena: it takes `low` to `high` bytes."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low:,}" if self.low == self.high else f"[{self.low:,}, {self.high:,}]"


def smallest(problem: Problem, high: int, seconds: float) -> Best:
    """The smallest arena for a problem.

    Args:
        high: Bytes of a placement that is known.
        seconds: How long the solver may take; without one only the bound is known.
    """
    low = lower_bound(problem)
    try:
        cp: Any = importlib.import_module("ortools.sat.python.cp_model")
    except ImportError:
        return Best(low, high)
    if low == high:
        return Best(low, high)
    model = cp.CpModel()
    arena = model.NewIntVar(low // ALIGNMENT, high // ALIGNMENT, "arena")
    starts = []
    for i, buffer in enumerate(problem.buffers):
        step, size = buffer.align // ALIGNMENT, buffer.size // ALIGNMENT
        start = model.NewIntVar(0, high // ALIGNMENT, f"start_{i}")
        if step > 1:
            model.Add(start == step * model.NewIntVar(0, high // buffer.align, f"step_{i}"))
        model.Add(start + size <= arena)
        starts.append(start)
    for i, neighbours in enumerate(problem.neighbours):
        for n in neighbours:
            if n.index < i:
                under = model.NewBoolVar(f"under_{i}_{n.index}")
                below, above = -(-n.below // ALIGNMENT), -(-n.above // ALIGNMENT)
                model.Add(starts[i] + below <= starts[n.index]).OnlyEnforceIf(under)
                model.Add(starts[i] >= starts[n.index] + above).OnlyEnforceIf(under.Not())
    model.Minimize(arena)
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    status = solver.Solve(model)
    proven = max(low, ALIGNMENT * round(solver.BestObjectiveBound()))
    if status in (cp.OPTIMAL, cp.FEASIBLE):
        high = min(high, ALIGNMENT * round(solver.ObjectiveValue()))
    return Best(min(proven, high), high)


def graphs(names: list[str]) -> Iterator[tuple[str, Graph]]:
    """The models that are here, and generated ones."""
    for name in names:
        path = MODELS / f"{name}_int8.tflite"
        if path.is_file():
            yield name, transforms.apply(loads(path.read_bytes(), name))
    for channels, image, layers in GENERATED:
        yield (
            f"{layers} layers of {channels}",
            transforms.apply(loads(separable(channels, image, layers), "generated")),
        )


def main() -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--models", default="kws,vww,ic,ad,person_detect,sww,micro_speech")
    parser.add_argument("--cores", default=",".join(BOARDS))
    parser.add_argument("--seconds", type=float, default=20, help="of the solver, for each")
    options = parser.parse_args()
    cores = command.chosen(parser, options.cores, BOARDS)
    table = Table(title="bytes of the arena")
    for column in ("", "core", "live set", "greedy", "placed", "smallest", "gap", "plan", "moved"):
        table.add_column(column, justify="left" if column in ("", "core") else "right")
    for name, graph in graphs(options.models.split(",")):
        for core in cores:
            target = Target(boards.load(BOARDS[core]).core.isas, Optimize.SPEED)
            problem = placement_problem(graph, lower(graph, target))
            bound = lower_bound(problem)
            first_fit = peak(problem, greedy(problem, bound))
            placed = peak(problem, place(problem))
            best = smallest(problem, placed, options.seconds)
            plan = make_plan(graph, target)
            table.add_row(
                name,
                core,
                f"{bound:,}",
                f"{first_fit:,}",
                f"{placed:,}",
                str(best),
                f"{placed / best.low - 1:.1%}",
                f"{plan.arena_bytes:,}",
                f"{sum(m.bytes for m in plan.moved if m):,}",
            )
        table.add_section()
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    command.run(main)
