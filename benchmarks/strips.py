"""What it would bring to compute the widest layers in strips: `python benchmarks/strips.py`.

A run of layers of which each is computed a few rows at a time, as the one behind it asks for them,
needs of what lies between them only the rows that are still to be read. For each model this prints
the arena of its plan, and the smallest with one such run, placed by the same search: its layers,
the rows at a time, and the multiply-accumulates of the run, which then take a few more
instructions because kernels are called more often. No build does this: it is an estimate, of
buffers of whole rows that are kept where they are until they have been read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks import command
from benchmarks.command import MODELS
from tinydeploy import boards, transforms
from tinydeploy.graph import Graph
from tinydeploy.plan.memory import peak, place
from tinydeploy.plan.plan import KernelCall, Optimize, Target, Trail
from tinydeploy.plan.planner import make_plan, placement_problem
from tinydeploy.plan.select import lower
from tinydeploy.tflite.reader import loads

BOARDS = {"cortex-m4": "generic_cortex_m4", "cortex-m55": "mps3_an547"}
_STRIPS = (1, 2, 4)  # rows of the run's output at a time
_LONGEST = 12  # layers of a run
_BY_ROWS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "MUL", "SUB")


@dataclass(frozen=True)
class Window:
    """Which rows of the input a layer reads for a row of its output."""

    kernel: int
    stride: int
    pad: int

    def rows(self, first: int, last: int, size: int) -> tuple[int, int]:
        """(first, last) row of an input of `size` rows for rows `first` to `last` of the output."""
        low, high = first * self.stride - self.pad, last * self.stride - self.pad + self.kernel - 1
        return max(low, 0), min(high, size - 1)


def window(graph: Graph, call: KernelCall) -> Window | None:
    """None for layers that cannot be computed by rows."""
    shapes = [graph.tensors[t].shape for t in (*call.inputs, *call.outputs)]
    if call.op not in _BY_ROWS or any(len(s) != 4 or s[0] != 1 for s in shapes):
        return None
    params = graph.nodes[call.layer].params
    if call.op in ("ADD", "MUL", "SUB"):
        return Window(1, 1, 0) if len({s[1:] for s in shapes}) == 1 else None
    if call.op.endswith("POOL_2D"):
        return Window(params.filter_h, params.stride_h, params.pad_h)
    return Window((params.h.kernel - 1) * params.h.dilation + 1, params.h.stride, params.h.pad)


def fused(graph: Graph, run: Sequence[KernelCall], strip: int) -> KernelCall | None:
    """A run as one call; None where it cannot be one.

    Its scratch holds the rows between its layers and the largest scratch of them.
    """
    made = [call.outputs[0] for call in run]
    outside = list(dict.fromkeys(t for c in run for t in c.inputs if t not in made))
    windows = [window(graph, call) for call in run]
    shapes = {t: graph.tensors[t].shape for t in (*made, *outside)}
    if (
        len(outside) != 1
        or any(w is None for w in windows)
        or any(len(s) != 4 for s in shapes.values())
    ):
        return None
    kept = dict.fromkeys(made[:-1], 0)
    done = dict.fromkeys(made, -1)
    source, sink = outside[0], made[-1]
    written, distance = 0, 0
    row_bytes = {t: graph.tensors[t].bytes // s[1] for t, s in shapes.items()}
    for last in range(strip - 1, shapes[sink][1] + strip - 1, strip):
        goal = {sink: min(last, shapes[sink][1] - 1)}
        oldest: dict[int, int] = {}
        for call, w in zip(reversed(run), reversed(windows), strict=True):
            assert w is not None
            output = call.outputs[0]
            goal.setdefault(output, done[output])
            for t in call.inputs:
                low, high = w.rows(done[output] + 1, goal[output], shapes[t][1])
                goal[t] = max(goal.get(t, -1), high, done.get(t, -1))
                oldest[t] = min(oldest.get(t, low), low)
        # What was written before lies below what this strip is the first to read.
        distance = max(distance, written - oldest[source] * row_bytes[source])
        for t in kept:
            kept[t] = max(kept[t], goal[t] - oldest[t] + 1)
        done = {t: goal[t] for t in made}
        written = (goal[sink] + 1) * row_bytes[sink]
    lines = sum(-(-rows * row_bytes[t] // 8) * 8 for t, rows in kept.items())
    return replace(
        run[-1],
        inputs=(source,),
        scratch_bytes=lines + max(call.scratch_bytes for call in run),
        macs=sum(call.macs for call in run),
        in_place=(),
        trails=(Trail(0, 0, max(distance, 0)),),
    )


def candidates(
    graph: Graph, calls: Sequence[KernelCall]
) -> Iterator[tuple[str, int, list[KernelCall]]]:
    """(layers, multiply-accumulates of the run, calls with the run as one of them)."""
    readers: Mapping[int, list[int]] = {
        t: [i for i, c in enumerate(calls) if t in c.inputs] for c in calls for t in c.outputs
    }
    for first in range(len(calls)):
        for end in range(first + 2, min(first + _LONGEST, len(calls)) + 1):
            run = calls[first:end]
            inner = [t for call in run[:-1] for t in call.outputs]
            apart = any(not set(readers[t]) <= set(range(first, end)) for t in inner)
            if apart or any(t in graph.outputs for t in inner):
                continue
            for strip in _STRIPS:
                whole = fused(graph, run, strip)
                if whole is not None:
                    name = f"{run[0].layer}-{run[-1].layer}, {strip} rows"
                    yield name, whole.macs, [*calls[:first], whole, *calls[end:]]


def _arena(graph: Graph, calls: Sequence[KernelCall]) -> int:
    """Of calls, some of which are runs: their inner layers are nodes of no memory."""
    there = {call.layer for call in calls}
    inner = {n.index for n in graph.nodes} - there
    reads = {t for call in calls for t in call.inputs}
    nodes = tuple(
        n
        for n in graph.nodes
        if n.index not in inner
        or (n.op == "RESHAPE" and set(n.outputs) & (reads | set(graph.outputs)))
    )
    problem = placement_problem(replace(graph, nodes=nodes), tuple(calls))
    return peak(problem, place(problem))


def main() -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--models", default="vww,person_detect,ic,kws")
    parser.add_argument("--cores", default="cortex-m4", help="comma list")
    options = parser.parse_args()
    cores = command.chosen(parser, options.cores, BOARDS)
    table = Table(title="bytes of the arena")
    for column in ("", "core", "plan", "with a run in strips", "less", "layers", "of the MACs"):
        table.add_column(column, justify="left" if column in ("", "core") else "right")
    for name in options.models.split(","):
        path = MODELS / f"{name}_int8.tflite"
        graph = transforms.apply(loads(path.read_bytes(), name))
        for core in cores:
            target = Target(boards.load(BOARDS[core]).core.isas, Optimize.SPEED)
            plan = make_plan(graph, target)
            calls = lower(graph, target)
            found = (
                (_arena(graph, c), layers, macs) for layers, macs, c in candidates(graph, calls)
            )
            arena, layers, macs = min(found, default=(plan.arena_bytes, "-", 0))
            table.add_row(
                name,
                core,
                f"{plan.arena_bytes:,}",
                f"{arena:,}",
                f"{1 - arena / plan.arena_bytes:.0%}",
                layers,
                f"{macs / sum(c.macs for c in calls):.0%}",
            )
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    command.run(main)
