"""Whether a model fits a board, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from .board import Board
from .boards import all_boards
from .errors import DoesNotFit
from .plan.plan import Optimize, Plan
from .plan.planner import make_plan

# What a firmware takes beside the model, measured on the verify firmware and rounded up: RAM for
# the wire and the board; flash for start-up code, the wire and the kernels. The linker has the last
# word.
FIRMWARE_RAM_BYTES = 1024
FIRMWARE_FLASH_BYTES = 12 * 1024


@dataclass(frozen=True)
class Needs:
    """What an image takes of a board, estimated."""

    ram_bytes: int
    flash_bytes: int


def needs(plan: Plan, board: Board) -> Needs:
    """Arena, firmware and stack; weights and firmware."""
    return Needs(
        plan.arena_bytes + FIRMWARE_RAM_BYTES + board.stack_bytes,
        plan.constant_bytes + FIRMWARE_FLASH_BYTES,
    )


def fits(plan: Plan, board: Board) -> bool:
    """Whether the board has the memories for the model; true for boards without limits."""
    if board.ram is None or board.flash is None:
        return True
    need = needs(plan, board)
    return need.ram_bytes <= board.ram.bytes and need.flash_bytes <= board.flash.bytes


def check(plan: Plan, board: Board, model: Path, folders: Sequence[Path]) -> None:
    """Refuses a model whose arena or weights alone are more than the board has.

    Raises:
        DoesNotFit: Naming both sizes, the largest layers, and boards that fit.
    """
    if board.ram is None or board.flash is None:
        return
    if plan.arena_bytes + board.stack_bytes > board.ram.bytes:
        takes, has = plan.arena_bytes + board.stack_bytes, board.ram.bytes
        what, sizes = "RAM", [plan.live_bytes(i) for i in range(len(plan.calls))]
    elif plan.constant_bytes > board.flash.bytes:
        takes, has = plan.constant_bytes, board.flash.bytes
        what, sizes = "flash for its weights", _weight_bytes(plan)
    else:
        return
    # An interpreter's arena has no layers that are known here.
    largest = f" (largest: {_largest(plan, sizes)})" if any(sizes) else ""
    hint = too_big_hint(plan, model, folders)
    if what == "RAM" and any(sizes) and _fits_for_ram(plan, board):
        hint = f"tinydeploy build {quote(str(model))} --board {board.name} --opt ram"
    raise DoesNotFit(
        f"{model.name} needs {_kib(takes)} of {what}; {board.name} has {_kib(has)}{largest}", hint
    )


def _fits_for_ram(plan: Plan, board: Board) -> bool:
    """Whether it fits where RAM comes before time."""
    if plan.target.optimize is Optimize.RAM:
        return False
    return fits(make_plan(plan.graph, replace(plan.target, optimize=Optimize.RAM)), board)


def too_big_hint(plan: Plan, model: Path, folders: Sequence[Path]) -> str:
    """What to type when a model does not fit: names boards that have the room."""
    suitable = [
        b.name
        for b in all_boards(folders)
        if not b.is_host and not b.name.startswith("generic_") and fits(plan, b)
    ]
    command = f"tinydeploy boards --fits {quote(str(model))}"
    if not suitable:
        return f"no board here fits it; {command} says by how much"
    shown = ", ".join(suitable[:4]) + (", ..." if len(suitable) > 4 else "")
    return f"fits {shown}; {command} lists them all"


def _weight_bytes(plan: Plan) -> list[int]:
    sizes = dict.fromkeys(range(len(plan.calls)), 0)
    position = {id(part): i for i, call in enumerate(plan.calls) for part in call.kernel_calls}
    for call, constant in plan.constants.values():
        sizes[position[id(call)]] += constant.data.nbytes
    return list(sizes.values())


def _largest(plan: Plan, sizes: Sequence[int]) -> str:
    ranked = sorted(range(len(sizes)), key=lambda i: -sizes[i])[:3]
    return "; ".join(
        f"layer {plan.calls[i].layer} {plan.calls[i].op}, {_kib(sizes[i])}" for i in ranked
    )


def _kib(count: int) -> str:
    return f"{count / 1024:.1f} KiB" if count >= 1024 else f"{count} bytes"
