"""What came of it, as a `Report`."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import __version__
from .graph import Graph
from .oracle import Oracle
from .plan.plan import Placement, Plan
from .report import report as r
from .toolchains import find as find_toolchain
from .verify import RunResult

if TYPE_CHECKING:
    from .board import Board
    from .emit.module import Library
    from .firmware import Firmware, Section
    from .pipeline import Prepared
    from .runners.base import Unit

_PACKAGES = ("numpy", "scons", "unicorn", "ziglang", "tflite-micro")


def started(prepared: Prepared, outcome: r.Outcome, error: str | None = None) -> r.Report:
    """The report of something that got no further than its plan."""
    graph, plan, request = prepared.graph, prepared.plan, prepared.request
    calls = {call.layer: call for call in plan.calls}
    return r.Report(
        outcome=outcome,
        error=error,
        tool=r.Tool("tinydeploy", __version__),
        model=r.Model(str(request.model), graph.sha256, graph.name),
        board=prepared.board.name,
        core=prepared.board.core.name,
        engine=request.engine,
        optimize=plan.target.optimize.value,
        layers=tuple(
            r.Layer(
                index=node.index,
                op=node.op,
                name=graph.tensors[node.outputs[0]].name,
                kernel=calls[node.index].kernel.name if node.index in calls else "",
                macs=calls[node.index].macs if node.index in calls else 0,
                output_shape=graph.tensors[node.outputs[0]].shape,
            )
            for node in graph.nodes
        ),
        left_out=_left_out(graph, plan.graph),
        arena=_blocks(plan),
        versions=_versions() | _library(prepared.module.library),
    )


def _left_out(whole: Graph, planned: Graph) -> r.LeftOut | None:
    """What transforms took away of a graph: channels of layers that both have."""
    outputs = [planned.tensors[node.outputs[0]] for node in planned.nodes]
    left = [t.kept.of - len(t.kept.channels) for t in outputs if t.kept]
    if not left:
        return None
    channels = sum(t.kept.of if t.kept else t.shape[-1] for t in outputs if t.shape)
    layers = {node.index for node in planned.nodes}
    before, after = _macs_and_weights(whole, layers), _macs_and_weights(planned, layers)
    return r.LeftOut(sum(left), channels, before[0] - after[0], before[1] - after[1])


def _macs_and_weights(graph: Graph, layers: Set[int]) -> tuple[int, int]:
    """Of these layers; weights that two of them share count twice, as two they may become."""
    nodes = [node for node in graph.nodes if node.index in layers]
    used = [t for node in nodes for t in graph.node_inputs(node) if t is not None]
    weights = sum(t.bytes for t in used if t.is_constant)
    return sum(getattr(node.params, "macs", 0) for node in nodes), weights


def _blocks(plan: Plan) -> tuple[r.Block, ...]:
    """The RAM plan; its times, which are calls of kernels, become places in the list of layers."""
    place = {node.index: position for position, node in enumerate(plan.graph.nodes)}
    times = [-1, *(place[call.layer] for call in plan.calls), len(place)]

    def block(name: str, kind: Literal["activation", "scratch"], at: Placement) -> r.Block:
        first, last = times[at.first + 1], times[at.last + 1]
        return r.Block(name, kind, at.offset, at.bytes, first, last)

    tensors = plan.graph.tensors
    lasting = [block(tensors[t].name, "activation", at) for t, at in plan.placements.items()]
    passing = [block("", "scratch", at) for at in plan.scratch if at]
    passing += [
        block(tensors[call.inputs[0]].name, "activation", at)
        for call, at in zip(plan.calls, plan.moved, strict=True)
        if at
    ]
    return (*lasting, *passing)


def built(prepared: Prepared, firmware: Firmware, seconds: float) -> r.Report:
    """The report of a firmware that was linked."""
    plan, board = prepared.plan, prepared.board
    toolchain = find_toolchain(prepared.request.toolchain, for_host=board.is_host)
    weights = plan.constant_bytes
    flash = None if board.is_host else firmware.flash_bytes
    return replace(
        started(prepared, "built"),
        toolchain=r.Tool(toolchain.name, toolchain.version),
        elf=elf(firmware),
        memory=r.Memory(
            arena_bytes=plan.arena_bytes,
            ram_bytes=None if board.is_host else firmware.ram_bytes,
            flash_bytes=flash,
            weights_bytes=weights,
            code_bytes=None if flash is None else flash - weights,
            board_ram_bytes=board.ram.bytes if board.ram else None,
            board_flash_bytes=board.flash.bytes if board.flash else None,
            arena_planned_bytes=prepared.arena.planned_bytes if prepared.arena else None,
            arena_used_bytes=prepared.arena.used_bytes if prepared.arena else None,
            sections=tuple(_section(section, board) for section in firmware.sections),
        ),
        duration_s=round(seconds, 3),
    )


def elf(firmware: Firmware) -> r.Elf:
    """The image as it lies on disk now."""
    return r.Elf(_shown(firmware.elf), hashlib.sha256(firmware.elf.read_bytes()).hexdigest())


def proven(
    before: r.Report,
    result: RunResult,
    oracle: Oracle,
    counts: Unit,
    seconds: float,
) -> r.Report:
    """The report of a firmware that was run and compared."""
    name, _, version = oracle.name.partition(" ")
    equal = all(result.equal) and result.first_difference is None
    counted = counts != "nanoseconds"
    return replace(
        before,
        outcome="verified" if equal else "differs",
        instructions=r.Instructions(
            counter="cycles" if counts == "cycles" else "instructions",
            init=result.init if counted else None,
            inference=result.inference if counted else None,
        ),
        layers=tuple(
            replace(
                layer,
                instructions=result.layer_counts.get(layer.index) if counted else None,
                equal=result.layer_equal.get(layer.index),
            )
            for layer in before.layers
        ),
        verify=r.Verify(
            oracle=r.Tool(name, version),
            inputs=len(result.equal),
            inputs_equal=sum(result.equal),
            equal=equal,
            retries=result.retries,
            first_difference=result.first_difference,
        ),
        duration_s=round(seconds, 3),
    )


def _section(section: Section, board: Board) -> r.Section:
    in_ram = board.ram is not None and board.ram.origin <= section.address < board.ram.end
    memory: Literal["flash", "ram", "both"] = "flash"
    if in_ram or not section.stored:
        memory = "both" if section.stored else "ram"
    return r.Section(section.name, memory, section.bytes)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _library(library: Library | None) -> dict[str, str]:
    """Which one was linked, of several that an installation may have for a core."""
    if library is None:
        return {}
    return {library.archive.name: f"{library.archive.parent}, SHA-256 {library.sha256}"}


def _shown(path: Path) -> str:
    """`path` relative to the working directory where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
