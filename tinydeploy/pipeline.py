"""The straight line from a model and a board's name to a proof, on one screen.

model.tflite -load-> Graph -engine-> Plan, C -compose-> CModule -SCons-> Firmware -run-> Report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import app, boards, fit, summary, verify
from .build import BuildRequest
from .build import build as run_scons
from .emit import mlperf
from .emit.board import board_files
from .emit.module import CModule
from .engines import ENGINES, Arena, Context
from .errors import DoesNotFit, InputError, RequestError
from .firmware import Firmware
from .firmware import read as read_firmware
from .graph import Array, Graph
from .inputs import DEFAULT as DEFAULT_INPUTS
from .inputs import InputSet, read_inputs
from .oracle import Oracle, open_oracle
from .paths import data
from .plan.plan import Optimize, Plan, Target
from .report.report import Report, Tool, write
from .steps import ELF, REPORT
from .tflite.reader import loads, read_file
from .wire import Client

if TYPE_CHECKING:
    from .board import Board
    from .runners.base import Runner

_PORT_S = 10.0  # a board that has been written comes back at its USB port

# Told the report of what failed, once there was a plan.
Publish = Callable[[Report], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything about a firmware, decided and printed, but not compiled.

    Attributes:
        graph: The model as loaded.
        content: Its bytes.
        plan: Made from the graph after transforms.
        module: All C of the firmware.
        arena: How the arena came by its size, where the plan does not tell.
    """

    request: BuildRequest
    graph: Graph
    content: bytes
    board: Board
    plan: Plan
    module: CModule
    arena: Arena | None = None


@dataclass(frozen=True, eq=False)
class Built:
    """A firmware on disk."""

    prepared: Prepared
    firmware: Firmware
    report: Report


def prepare(request: BuildRequest) -> Prepared:
    """Loads, plans and prints; nothing is written to the out folder.

    Engine tflm measures its arena here, in an emulator, the first time.

    Raises:
        InputError: The model, the board or an option was rejected.
        RequestError: What the engine needs is not here.
    """
    if request.engine not in ENGINES:
        raise InputError(f"unknown engine {request.engine!r}", f"--engine {' | '.join(ENGINES)}")
    board = boards.load(request.board, request.board_folders)
    content = read_file(request.model)
    graph = loads(content, request.model.stem, request.model.name)
    target = Target(board.core.isas, Optimize(request.optimize))
    emission = ENGINES[request.engine].emit(graph, target, Context(request, board, content))
    around = board_files(board)
    if request.app is None:
        around |= _firmware_files(request.firmware, graph, board)
    # libc.c copies rows of tensors for kernels.
    module = CModule(
        {**emission.files, **around},
        library=emission.library,
        aside=frozenset(around) - {"libc.c"},
    )
    if request.app is not None:
        files = {**module.files, **app.files(request.app)}
        module = replace(module, files=files, include_dirs=(".", app.FOLDER))
    return Prepared(request, graph, content, board, emission.plan, module, emission.arena)


def _firmware_files(name: str, graph: Graph, board: Board) -> dict[str, str]:
    """What stands between a board's console and the model."""
    folder = data(f"firmware_templates/{name.partition('_')[0]}")
    files = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    if not name.startswith("mlperf"):
        return files
    marker = mlperf.marker_of(board) if name == "mlperf_energy" else None
    return files | {"td_mlperf.h": mlperf.header(graph, marker)}


def plan_build(request: BuildRequest) -> CModule:
    """All C of the firmware that `request` asks for: what SCons compiles.

    Raises:
        InputError: As `prepare()`.
        RequestError: The model does not fit the board.
    """
    prepared = prepare(request)
    fit.check(prepared.plan, prepared.board, request.model, request.board_folders)
    return prepared.module


def build(
    request: BuildRequest,
    publish: Publish = lambda report: None,
    on_line: Callable[[str], None] | None = None,
    prepared: Prepared | None = None,
) -> Built:
    """Builds what is out of date.

    Args:
        request: What to build.
        publish: See `Publish`.
        on_line: Told each step of SCons.
        prepared: `prepare(request)`, where the caller has it already.

    Raises:
        InputError: As `prepare()`.
        RequestError: The model does not fit the board, or the build failed.
    """
    started = time.monotonic()
    prepared = prepared or prepare(request)
    with _published(publish, summary.started(prepared, "build-error"), started):
        fit.check(prepared.plan, prepared.board, request.model, request.board_folders)
        elf = run_scons(request, on_line=on_line)
        firmware = read_firmware(elf, prepared.board)
        report = summary.built(prepared, firmware, time.monotonic() - started)
    return Built(prepared, firmware, report)


def prove(
    built: Built,
    samples: Sequence[InputSet],
    *,
    runner: str | Runner | None = None,
    layers: bool = False,
    oracle: Oracle | None = None,
    publish: Publish = lambda report: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Report, Sequence[Sequence[Array]]]:
    """Runs the firmware and compares every output with the oracle's, bit for bit.

    Args:
        built: From `build()`.
        samples: At least one; see `inputs.read_inputs()`.
        runner: A key of RUNNERS, or a runner; None for the board's preferred one.
        layers: Compare and time every layer too.
        oracle: From `open_oracle()`; None for the best that this machine has.
        publish: See `Publish`.
        progress: Told how many inputs of how many are done.

    Returns:
        The report, and what the device answered: a row an input, an array an output.

    Raises:
        InputError: The runner's name was rejected, or the oracle refuses the model.
        RequestError: It cannot be run here, the device failed, or another build replaced the ELF.
    """
    started = time.monotonic()
    prepared = built.prepared
    if not prepared.request.answers_verify:
        raise InputError(
            f"{built.firmware.elf.name} is not for verify: it answers somebody else",
            "leave out --firmware and --app",
        )
    chosen = find_runner(runner, prepared.board)
    judge = oracle or open_oracle(prepared.graph, prepared.content)
    macs = sum(call.macs for call in prepared.plan.calls)
    failed = replace(built.report, outcome="device-error", runner=Tool(chosen.name, chosen.version))
    with _published(publish, failed, started), chosen.open(built.firmware) as transport:
        client = Client(transport, built.firmware, sha256=prepared.graph.sha256, macs=macs)
        result = verify.run(
            client,
            prepared.plan,
            judge,
            samples,
            layers=layers,
            progress=lambda done: progress(done, len(samples)),
        )
        if summary.elf(built.firmware) != built.report.elf:
            raise RequestError(
                f"{built.firmware.elf} was replaced while it ran: another build writes there",
                "give each its own folder: --out DIR",
            )
        seconds = built.report.duration_s + time.monotonic() - started
        report = summary.proven(failed, result, judge, transport.counts, seconds)
    return report, result.outputs


def prove_flashed(
    built: Built,
    runner: str | Runner,
    publish: Publish = lambda report: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Proves what has just been written into a board's flash, once its port is there.

    Raises:
        RequestError: The port does not come, or the device failed.
    """
    deadline = time.monotonic() + _PORT_S
    while True:
        try:
            find_runner(runner, built.prepared.board)
            break
        except RequestError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)
    samples = read_inputs(DEFAULT_INPUTS, built.prepared.graph)
    return prove(built, samples, runner=runner, publish=publish, progress=progress)[0]


def prove_here(request: BuildRequest) -> None:
    """Proves what SCons has just built, and says so on standard output.

    Raises:
        RequestError: It differs, cannot be run here, or the device failed.
    """
    from .report import table, terminal  # here, because a build prints nothing

    prepared = prepare(request)
    firmware = read_firmware(request.folder / ELF, prepared.board)
    built = Built(prepared, firmware, summary.built(prepared, firmware, 0.0))
    samples = read_inputs(DEFAULT_INPUTS, prepared.graph)
    path = request.folder / REPORT
    report, _ = prove(built, samples, publish=lambda failed: write(failed, path))
    write(report, path)
    table.print_verify(report, terminal.console())
    if report.outcome != "verified":
        raise differs(report)


def differs(report: Report, again: str = "") -> RequestError:
    """The error of a firmware that does not compute what the model computes; `again` shows more."""
    return RequestError(f"{report.model.name} differs from its model on {report.board}", again)


def find_runner(name: str | Runner | None, board: Board) -> Runner:
    """The runner of that name, or the one given, or the board's preferred one.

    Raises:
        InputError: There is no such runner.
        RequestError: It cannot run this board, or is not installed.
    """
    from .runners import RUNNERS  # here, because a build needs no emulator

    if name is None:
        if not board.runners:
            raise RequestError(
                f"nothing here runs {board.name}", "verify on this machine: --on host"
            )
        name = board.runners[0]
    if isinstance(name, str) and name not in RUNNERS:
        raise InputError(f"unknown runner {name!r}", f"--on {' | '.join(RUNNERS)}")
    runner = RUNNERS[name] if isinstance(name, str) else name
    runner.check(board)
    return runner


@contextmanager
def _published(publish: Publish, failed: Report, started: float) -> Iterator[None]:
    """Publishes `failed`, with the error's message, when the block fails."""
    try:
        yield
    except RequestError as error:
        outcome = "does-not-fit" if isinstance(error, DoesNotFit) else failed.outcome
        seconds = round(failed.duration_s + time.monotonic() - started, 3)
        publish(replace(failed, outcome=outcome, error=error.message, duration_s=seconds))
        raise
