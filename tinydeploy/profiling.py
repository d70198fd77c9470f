"""Where an inference spends its time: instructions counted, cycles estimated, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import pipeline
from .errors import RequestError
from .graph import DType, Graph
from .inputs import random_inputs
from .report import report as r
from .runners.tracing import Trace, TracingRunner
from .timing.estimate import Work, estimate
from .timing.tables import BEATS, TIMINGS, Beats, Timing

if TYPE_CHECKING:
    from .board import Board
    from .mcu import FlashTiming
    from .oracle import Oracle


def check(board: Board) -> None:
    """Whether a board can be profiled.

    Raises:
        RequestError: No emulator here models it.
    """
    TracingRunner(board).check(board)


def profile(
    built: pipeline.Built,
    *,
    oracle: Oracle | None = None,
    publish: pipeline.Publish = lambda report: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> r.Report:
    """Runs one random input in an emulator, and says what each layer cost.

    Args:
        built: For a board that an emulator models.
        oracle, publish, progress: As `pipeline.prove()`.

    Returns:
        The report of the proof, with a `Cost` for each layer that runs.

    Raises:
        RequestError: It cannot be run here, or the device failed.
    """
    prepared = built.prepared
    runner = TracingRunner(prepared.board)
    report, _ = pipeline.prove(
        built,
        random_inputs(prepared.graph, 1),
        runner=runner,
        layers=True,
        oracle=oracle,
        publish=publish,
        progress=progress,
    )
    return with_costs(report, runner, prepared.board, prepared.graph)


def with_costs(report: r.Report, runner: TracingRunner, board: Board, graph: Graph) -> r.Report:
    """The report, each measured layer with what its trace says.

    Args:
        runner: Its last steps are those of the measured layers, in the order of `report.layers`.

    Raises:
        RequestError: There are fewer.
    """
    measured = [layer for layer in report.layers if layer.instructions is not None]
    traced = runner.steps[-len(measured) :]
    if len(runner.reads) == len(traced):
        # In an inference no talk between layers takes the caches from them.
        traced = [
            replace(trace, code_reads=code, constant_reads=constants)
            for trace, (code, constants) in zip(traced, runner.reads, strict=True)
        ]
    if len(measured) != len(traced):
        raise RequestError(
            f"{len(measured)} layers of {report.model.name} ran, and {len(traced)} were traced"
        )
    timing, beats = TIMINGS[board.core.name], BEATS.get(board.core.name, Beats())
    flash = board.mcu.flash_timing if board.mcu else None
    nodes = {node.index: node for node in graph.nodes}
    costs: dict[int, tuple[int, r.Cost]] = {}
    for layer, trace in zip(measured, traced, strict=True):
        work = estimate(trace.blocks, timing)
        wide = graph.tensors[nodes[layer.index].inputs[0]].dtype is DType.INT16
        rate = beats.bits16 if wide else beats.bits8
        costs[layer.index] = work.instructions, _cost(work, trace, flash, layer.macs, rate)
    layers = tuple(
        replace(layer, instructions=costs[layer.index][0], cost=costs[layer.index][1])
        if layer.index in costs
        else layer
        for layer in report.layers
    )
    return replace(report, layers=layers, timing=_timing(timing, board, costs))


def _cost(work: Work, trace: Trace, flash: FlashTiming | None, macs: int, rate: int) -> r.Cost:
    waits = flash.wait_states if flash else 0
    stalls = waits * (trace.code_reads + trace.constant_reads)
    return r.Cost(
        cycles=work.likely + stalls,
        cycles_least=work.least,
        cycles_most=work.most + stalls,
        cycles_floor=-(-macs // rate),
        flash_stalls=stalls,
        bytes_loaded=work.loaded,
        bytes_stored=work.stored,
    )


def _timing(timing: Timing, board: Board, costs: dict[int, tuple[int, r.Cost]]) -> r.Timing:
    mcu = board.mcu
    flash = mcu.flash_timing if mcu else None
    return r.Timing(
        source=timing.source,
        bounds_only=timing.issue > 1,
        clock_hz=mcu.rated_hz if mcu and flash else None,
        wait_states=flash.wait_states if flash else 0,
        cycles=sum(cost.cycles for _, cost in costs.values()),
        cycles_least=sum(cost.cycles_least for _, cost in costs.values()),
        cycles_most=sum(cost.cycles_most for _, cost in costs.values()),
        cycles_floor=sum(cost.cycles_floor for _, cost in costs.values()),
    )
