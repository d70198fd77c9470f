"""What the models cost, beside the goals and beside TFLite Micro: `python benchmarks/goals.py`.

Each model is built and proven, its instructions counted in an emulator, its cycles estimated (see
docs/profile.md). The same sources and the same compiler give the same numbers.

    python benchmarks/goals.py                    # the whole table
    python benchmarks/goals.py --tflm-root DIR    # TFLite Micro with CMSIS-NN in the same run
    python benchmarks/goals.py --check            # a few builds against benchmarks/baseline.json
    python benchmarks/goals.py --update           # rewrites that file

TFLite Micro's figures that are not of the same run were measured with its commit 90b983c and
CMSIS-NN 4ab83cc, GCC 12.2 -O2.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks import command
from benchmarks.command import MODELS, REPOSITORY
from tinydeploy import pipeline, profiling
from tinydeploy.build import BuildRequest
from tinydeploy.errors import TinydeployError
from tinydeploy.files import write_whole
from tinydeploy.report.report import Report

BASELINE = Path(__file__).with_name("baseline.json")
_DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
_TOLERANCE = 0.02

BOARDS = {
    "cortex-m0": "generic_cortex_m0",
    "cortex-m3": "generic_cortex_m3",
    "cortex-m4": "mps2_an386",
    "cortex-m4-l4r5": "nucleo_l4r5zi",  # with the wait states of its flash
    "cortex-m55": "mps3_an547",
}
NAMES = ("kws", "vww", "ic", "ad")


@dataclass(frozen=True)
class Case:
    """One build: a model, a core, what bytes are spent on.

    Attributes:
        engine: "aot" or "tflm".
    """

    model: str
    core: str = "cortex-m4"
    optimize: str = "speed"
    engine: str = "aot"

    @property
    def path(self) -> Path:
        return _DIGITS if self.model == "digits" else MODELS / f"{self.model}_int8.tflite"

    def __str__(self) -> str:
        engine = "" if self.engine == "aot" else f" {self.engine}"
        return f"{self.model} {self.core} {self.optimize}{engine}"


@dataclass(frozen=True)
class Figures:
    """What a build costs.

    Attributes:
        instructions, cycles: Of one inference, counted and estimated.
        arena_bytes: Activations and scratch.
        code_bytes: Flash beside the weights: beside the .tflite file for engine tflm.
    """

    instructions: int
    cycles: int
    arena_bytes: int
    code_bytes: int


@dataclass(frozen=True)
class Goal:
    """A row of the table: one figure, its goals and TFLite Micro's, by model."""

    title: str
    figure: str
    core: str
    optimize: str
    goals: Mapping[str, float]
    theirs: Mapping[str, int]


def _row(*values: float) -> dict[str, float]:
    return dict(zip(NAMES, values, strict=True))


def _theirs(*values: int) -> dict[str, int]:
    return dict(zip(NAMES, values, strict=True))


_TFLM_M3 = _theirs(10_532_688, 31_959_257, 41_846_029, 955_934)
_RAM = _row(12e3, 56e3, 40e3, 1.3e3)
_TFLM_RAM = _theirs(22_820, 100_708, 54_996, 2_580)
_TFLM_M0 = _theirs(29_378_452, 88_055_734, 97_672_089, 1_763_586)
GOALS = (
    Goal("Cortex-M4, instructions", "instructions", "cortex-m4", "speed",
         _row(3.9e6, 9.0e6, 15.0e6, 0.36e6), _theirs(7_697_888, 24_101_872, 29_861_587, 582_906)),
    Goal("Cortex-M4, estimated cycles", "cycles", "cortex-m4-l4r5", "speed",
         _row(5.18e6, 10.67e6, 19.82e6, 0.486e6), {}),
    Goal("Cortex-M55, instructions", "instructions", "cortex-m55", "speed",
         _row(1.0e6, 3.2e6, 2.9e6, 0.09e6), _theirs(1_813_669, 6_558_236, 4_910_097, 149_971)),
    Goal("Cortex-M3, instructions", "instructions", "cortex-m3", "speed",
         {name: 0.6 * count for name, count in _TFLM_M3.items()}, _TFLM_M3),
    Goal("Cortex-M0, instructions", "instructions", "cortex-m0", "speed",
         {name: 0.6 * count for name, count in _TFLM_M0.items()}, _TFLM_M0),
    Goal("Cortex-M4, RAM in bytes", "arena_bytes", "cortex-m4", "speed", _RAM, _TFLM_RAM),
    Goal("Cortex-M55, RAM in bytes", "arena_bytes", "cortex-m55", "speed", _RAM, _TFLM_RAM),
    Goal("Cortex-M3, RAM in bytes", "arena_bytes", "cortex-m3", "speed", _RAM, {}),
    Goal("Cortex-M0, RAM in bytes", "arena_bytes", "cortex-m0", "speed", _RAM, {}),
    Goal("Cortex-M4, RAM with --opt ram", "arena_bytes", "cortex-m4", "ram", _RAM, _TFLM_RAM),
    Goal("Cortex-M4, instructions then", "instructions", "cortex-m4", "ram", {}, {}),
    Goal("flash beside weights, for speed", "code_bytes", "cortex-m4", "speed",
         _row(14 << 10, 14 << 10, 14 << 10, 4 << 10), _theirs(56_620, 56_620, 54_392, 30_804)),
    Goal("flash beside weights, for size", "code_bytes", "cortex-m4", "size",
         _row(6 << 10, 6 << 10, 6 << 10, 2.5 * 1024), {}),
)  # fmt: skip

# What --check builds: every core once on a model that is here, the kernels that matter on the M4.
SHORT = (
    Case("digits", "cortex-m0"),
    Case("digits", "cortex-m3"),
    Case("digits", "cortex-m4-l4r5"),
    Case("digits", "cortex-m4-l4r5", "size"),
    Case("digits", "cortex-m55"),
    Case("kws", "cortex-m4-l4r5"),
    Case("ic", "cortex-m4-l4r5"),
    Case("ad", "cortex-m4-l4r5"),
)


class Bench:
    """Builds and profiles cases, each once.

    Args:
        folder: For outputs and object files.
        toolchain: As for --toolchain.
        tflm_root: As for --tflm-root.
    """

    def __init__(self, folder: Path, toolchain: str, tflm_root: Path | None = None) -> None:
        self._folder, self._toolchain, self._tflm_root = folder, toolchain, tflm_root
        self._known: dict[Case, Figures | TinydeployError] = {}
        self.compiler = ""

    def figures(self, case: Case) -> Figures:
        """What `case` costs.

        Raises:
            TinydeployError: It cannot be built or run, or does not compute what it should.
        """
        if case not in self._known:
            print(f"  {case}", file=sys.stderr, flush=True)
            try:
                self._known[case] = self._measure(case)
            except TinydeployError as error:
                print(f"  without it: {error.message}", file=sys.stderr)
                self._known[case] = error
        found = self._known[case]
        if isinstance(found, TinydeployError):
            raise found
        return found

    def _measure(self, case: Case) -> Figures:
        request = BuildRequest(
            model=case.path,
            board=BOARDS[case.core],
            engine=case.engine,
            toolchain=self._toolchain,
            optimize=case.optimize,
            out=self._folder / str(case).replace(" ", "-"),
            cache=self._folder / "cache",
            tflm_root=self._tflm_root,
        )
        built = pipeline.build(request)
        report = profiling.profile(built)
        if report.outcome != "verified":
            raise pipeline.differs(report)
        tool = report.toolchain
        self.compiler = f"{tool.name} {tool.version}" if tool else ""
        return _figures(report)


def _figures(report: Report) -> Figures:
    assert report.timing is not None
    assert report.memory is not None
    return Figures(
        instructions=sum(layer.instructions or 0 for layer in report.layers),
        cycles=report.timing.cycles,
        arena_bytes=report.memory.arena_bytes,
        code_bytes=report.memory.code_bytes or 0,
    )


# ---- The table ----------------------------------------------------------------------------------


def show(bench: Bench, goals: Sequence[Goal], names: Sequence[str], beside: bool) -> int:
    """Prints the table; how many goals are missed."""
    table = Table(title="ours against the goals")
    for column in ("", *names):
        table.add_column(column, justify="right" if column else "left")
    missed = 0
    for goal in goals:
        ours = {n: _value(bench, Case(n, goal.core, goal.optimize), goal.figure) for n in names}
        table.add_row(goal.title, *(_plain(ours[n]) for n in names), style="bold")
        if goal.goals:
            verdicts = [_verdict(ours[n], goal.goals[n]) for n in names]
            missed += sum(v.endswith("missed") for v in verdicts)
            table.add_row("  goal", *verdicts)
        theirs: Mapping[str, float | None] = goal.theirs
        told = "  TFLite Micro, earlier"
        if beside:
            here = {
                n: _value(bench, Case(n, goal.core, goal.optimize, "tflm"), goal.figure)
                for n in names
            }
            if any(here.values()):
                told, theirs = "  TFLite Micro, this run", here
        if any(theirs.values()):
            table.add_row(told, *(_ratio(ours[n], theirs.get(n)) for n in names), style="dim")
        table.add_section()
    Console(width=110).print(table)
    print(f"{bench.compiler}; goals missed: {missed}")
    return missed


def _value(bench: Bench, case: Case, figure: str) -> int | None:
    """None where it cannot be had: no emulator, no TFLite Micro for that core."""
    try:
        return int(getattr(bench.figures(case), figure))
    except TinydeployError:
        return None


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _verdict(ours: float | None, goal: float) -> str:
    if ours is None:
        return f"<= {goal:,.0f}"
    return f"<= {goal:,.0f} {'met' if ours <= goal else f'{ours / goal - 1:+.0%} missed'}"


def _ratio(ours: float | None, theirs: float | None) -> str:
    if ours is None or not theirs:
        return _plain(theirs)
    return f"{theirs:,.0f}  x{ours / theirs:.2f}"


# ---- The baseline -------------------------------------------------------------------------------


def measured(bench: Bench, cases: Iterable[Case] = SHORT) -> dict[str, dict[str, int]]:
    """Case -> figure -> value, of those cases whose model is here."""
    return {str(c): asdict(bench.figures(c)) for c in cases if c.path.is_file()}


def grown(
    now: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """A line for each figure of `now` that is more than 2% above what it was before."""
    lines = []
    for case, figures in now.items():
        for name, value in figures.items():
            was = before.get(case, {}).get(name)
            if was is None:
                lines.append(f"{case}: {name} {value:,} is not in {BASELINE.name}")
            elif value > was * (1 + _TOLERANCE):
                lines.append(f"{case}: {name} {value:,} was {was:,} ({value / was - 1:+.1%})")
    return lines


def read_baseline() -> tuple[str, dict[str, dict[str, int]]]:
    """(the compiler that the baseline was made with, its figures)."""
    content = json.loads(BASELINE.read_text("utf-8"))
    return content["compiler"], content["figures"]


def check(bench: Bench) -> int:
    now = measured(bench)
    compiler, before = read_baseline()
    if compiler != bench.compiler:
        print(f"the baseline is of {compiler}, this is {bench.compiler}: no comparison")
        return 0
    lines = grown(now, before)
    print("\n".join(lines) or f"{len(now)} builds: nothing grew by more than {_TOLERANCE:.0%}")
    if lines:
        print("if it is meant: python benchmarks/goals.py --update")
    return int(bool(lines))


def update(bench: Bench) -> int:
    figures = measured(bench)
    content = {"compiler": bench.compiler, "figures": figures}
    write_whole(BASELINE, json.dumps(content, indent=2) + "\n")
    print(f"wrote {BASELINE}: {len(figures)} builds")
    return 0


def main() -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--models", default=",".join(NAMES), help="comma list")
    parser.add_argument("--cores", default=",".join(BOARDS), help="comma list")
    parser.add_argument("--toolchain", default="arm-gnu")
    parser.add_argument("--tflm-root", type=Path, default=os.environ.get("TFLM_ROOT"))
    parser.add_argument("--check", action="store_true", help="against the baseline")
    parser.add_argument("--update", action="store_true", help="the baseline")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = command.chosen(parser, options.models, NAMES)
    cores = command.chosen(parser, options.cores, BOARDS)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.toolchain, options.tflm_root)
        if options.update or options.check:
            return update(bench) if options.update else check(bench)
        if not MODELS.is_dir():
            sys.exit(f"the models are not at {MODELS}")
        goals = [goal for goal in GOALS if goal.core in cores]
        if options.json:
            cases = {Case(n, g.core, g.optimize) for n in names for g in goals}
            print(json.dumps(measured(bench, sorted(cases, key=str)), indent=2))
            return 0
        show(bench, goals, names, beside=options.tflm_root is not None)
    return 0


if __name__ == "__main__":
    command.run(main)
