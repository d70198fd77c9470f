"""Engines side by side: the same model, board and inputs, one firmware after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import pipeline, profiling
from .build import BuildRequest
from .engines import ENGINES
from .errors import InputError, RequestError
from .graph import Array
from .inputs import read_inputs
from .oracle import open_oracle
from .report import report as r
from .report.report import Report
from .steps import REPORT
from .timing.tables import TIMINGS

if TYPE_CHECKING:
    from .board import Board


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        reports: One an engine, in the order asked for.
        inputs: How many inputs every firmware was run on.
        outputs_equal: On how many of them all engines gave the same bytes.
    """

    reports: tuple[Report, ...]
    inputs: int
    outputs_equal: int

    @property
    def good(self) -> bool:
        """Whether every engine computed what the oracle computes."""
        return all(report.outcome == "verified" for report in self.reports)


def to_json(comparison: Comparison) -> str:
    """As text, ending in a newline: the reports as report.json has them."""
    content: dict[str, Any] = {
        "inputs": comparison.inputs,
        "outputs_equal": comparison.outputs_equal,
        "reports": [r.to_dict(report) for report in comparison.reports],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def compare(
    request: BuildRequest,
    engines: Sequence[str],
    *,
    inputs: str,
    runner: str | None = None,
    layers: bool = False,
    cycles: bool = True,
    on_line: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Builds the model with each engine and proves it.

    Args:
        request: What to build; each engine's firmware gets a folder of its own in `request.out`.
        engines: Keys of ENGINES, each once.
        inputs: See `inputs.read_inputs()`; the same for all.
        runner: A key of RUNNERS; None for the board's preferred one.
        layers: Compare and time every layer too.
        cycles: Estimate what an inference takes, where an emulator models the board.
        on_line, progress: Told the steps of SCons, and how many inputs of how many are done.

    Raises:
        InputError: The model, the board, an engine or an option was rejected.
        RequestError: A firmware cannot be built or run here.
    """
    for name in engines:
        if name not in ENGINES:
            raise InputError(f"unknown engine {name!r}", f"--engines {','.join(ENGINES)}")
    if not engines or len(set(engines)) != len(engines):
        raise InputError("needs engines, each once", f"--engines {','.join(ENGINES)}")
    requests = [replace(request, engine=n, out=request.folder / n) for n in engines]
    # All of them before the first is built: what is missing is said at once.
    prepared = [pipeline.prepare(one) for one in requests]
    first = prepared[0]
    samples = read_inputs(inputs, first.graph)
    pipeline.find_runner(runner, first.board)
    oracle = open_oracle(first.graph, first.content)
    reports: list[Report] = []
    answers: list[Sequence[Sequence[Array]]] = []
    for one in prepared:
        built = pipeline.build(one.request, on_line=on_line, prepared=one)
        report, outputs = pipeline.prove(
            built, samples, runner=runner, layers=layers, oracle=oracle, progress=progress
        )
        if cycles and runner != "serial" and _can_estimate(one.board):
            timing = profiling.profile(built, oracle=oracle, progress=progress).timing
            report = replace(report, timing=timing)
        r.write(report, one.request.folder / REPORT)
        reports.append(report)
        answers.append(outputs)
    same = sum(
        len({b"".join(array.tobytes() for array in row) for row in rows}) == 1
        for rows in zip(*answers, strict=True)
    )
    return Comparison(tuple(reports), len(samples), same)


def _can_estimate(board: Board) -> bool:
    try:
        profiling.check(board)
    except RequestError:
        return False
    return board.core.name in TIMINGS
