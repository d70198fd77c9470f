"""What can be known without building: a model's plan, the boards, and how the two fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .board import Board
from .boards import all_boards, load
from .cores import Core
from .engines import ENGINES
from .fit import Needs, needs
from .graph import Graph, Tensor
from .plan.plan import Isa, Plan, Target
from .renode import platform as renode
from .report.inspection import BoardRow
from .tflite.reader import load as load_model


def plan(model: Path, core: Core) -> Plan:
    """The plan of a model on a core.

    Raises:
        InputError: The model was rejected.
    """
    return _plan(load_model(model), core.isas)


def _plan(graph: Graph, isas: tuple[Isa, ...]) -> Plan:
    return ENGINES["aot"].emit(graph, Target(isas)).plan


def rows(folders: Sequence[Path]) -> list[BoardRow]:
    """A row a board."""
    return [_row(board, None) for board in all_boards(folders) if not board.is_host]


def fitting_rows(model: Path, folders: Sequence[Path]) -> list[BoardRow]:
    """A row a board, with what the model takes of it when planned for its core."""
    graph = load_model(model)
    plans: dict[tuple[Isa, ...], Plan] = {}
    found = []
    for board in all_boards(folders):
        if board.is_host:
            continue
        isas = board.core.isas
        if isas not in plans:
            plans[isas] = _plan(graph, isas)
        found.append(_row(board, needs(plans[isas], board)))
    return found


def _row(board: Board, need: Needs | None) -> BoardRow:
    return BoardRow(
        name=board.name,
        title=board.title,
        core=board.core.name,
        clock_hz=board.mcu.rated_hz if board.mcu else 0,
        ram_bytes=board.ram.bytes if board.ram else 0,
        flash_bytes=board.flash.bytes if board.flash else 0,
        runners=board.runners,
        needs_ram_bytes=need.ram_bytes if need else None,
        needs_flash_bytes=need.flash_bytes if need else None,
    )


def row_dict(row: BoardRow) -> dict[str, Any]:
    """A row as JSON has it."""
    return {**dataclasses.asdict(row), "fits": row.fits}


def board_dict(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    """All that is known of a board, as JSON has it.

    Raises:
        InputError: There is no such board.
    """
    board = load(name, folders)
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core.name,
        "fpu": board.core.fpu,
        "instruction_sets": list(board.core.isa_names),
        "runners": list(board.runners),
        "stack_bytes": board.stack_bytes,
        "bootloader_bytes": board.bootloader_bytes,
        "flash": _plain(board.flash),
        "ram": _plain(board.ram),
        "console": _plain(board.console),
        "qemu": _plain(board.qemu),
        "renode": renode.source(board),
        "usb": _plain(board.usb),
        "flash_tools": _plain(board.flash_tools),
        "mcu": _plain(board.mcu),
    }


def _plain(value: Any) -> Any:
    """Dataclasses and mappings as dictionaries; `asdict` cannot copy a read-only mapping."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def to_dict(plan: Plan, boards: Sequence[BoardRow]) -> dict[str, Any]:
    """A plan as JSON has it."""
    graph = plan.graph
    calls = {call.layer: (position, call) for position, call in enumerate(plan.calls)}
    layers = []
    for node in graph.nodes:
        position, call = calls.get(node.index, (None, None))
        scratch = plan.scratch[position] if position is not None else None
        output = node.outputs[0]
        layers.append(
            {
                "index": node.index,
                "op": node.op,
                "inputs": [_tensor(t) if t else None for t in graph.node_inputs(node)],
                "output": _tensor(graph.tensors[output]),
                "kernel": call.kernel.name if call else None,
                "macs": call.macs if call else 0,
                "arena_offset": at.offset if (at := plan.placements.get(output)) else None,
                "scratch_bytes": scratch.bytes if scratch else 0,
            }
        )
    return {
        "model": {"name": graph.name, "sha256": graph.sha256, "bytes": graph.size_bytes},
        "inputs": [_tensor(graph.tensors[t]) for t in graph.inputs],
        "outputs": [_tensor(graph.tensors[t]) for t in graph.outputs],
        "macs": sum(call.macs for call in plan.calls),
        "weights_bytes": plan.constant_bytes,
        "arena_bytes": plan.arena_bytes,
        "arena_lower_bound_bytes": plan.lower_bound_bytes,
        "layers": layers,
        "boards": [row_dict(row) for row in boards],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    return {
        "index": tensor.index,
        "name": tensor.name,
        "shape": list(tensor.shape),
        "kept_channels": list(tensor.kept.channels) if tensor.kept else None,
        "dtype": tensor.dtype.value,
        "constant": tensor.is_constant,
        "scales": list(quantization.scales) if quantization else [],
        "zero_points": list(quantization.zero_points) if quantization else [],
    }
