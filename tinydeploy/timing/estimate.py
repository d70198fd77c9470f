"""Cycles of what was executed: a table's costs, summed over basic blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tables import Timing
from .thumb import Instruction, Kind, instructions

if TYPE_CHECKING:
    from ..runners.tracing import Executed

_MEMORY = (Kind.VECTOR_LOAD, Kind.VECTOR_STORE, Kind.VECTOR_GATHER)
_BEATWISE = (*_MEMORY, Kind.VECTOR, Kind.VECTOR_MAC)
_BRANCHES = (Kind.BRANCH, Kind.BRANCH_IF, Kind.CALL, Kind.BRANCH_TO, Kind.TABLE)
_MULTIPLIES = (Kind.MUL, Kind.MLA, Kind.MULL, Kind.MLAL, Kind.DSP, Kind.DIV)
_STORES = (Kind.STORE, Kind.STORE_PAIR, Kind.STORE_MANY)


@dataclass(frozen=True)
class Work:
    """What code did and how long it took.

    Attributes:
        instructions: Executed.
        least, likely, most: Cycles, the flash not counted.
        loaded, stored: Bytes of memory. Of a vector with a predicate all its bytes are counted.
    """

    instructions: int = 0
    least: int = 0
    likely: int = 0
    most: int = 0
    loaded: int = 0
    stored: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.instructions + other.instructions,
            self.least + other.least,
            self.likely + other.likely,
            self.most + other.most,
            self.loaded + other.loaded,
            self.stored + other.stored,
        )


def estimate(blocks: Iterable[Executed], timing: Timing) -> Work:
    """What a trace did on a core."""
    total = Work()
    for block in blocks:
        total += _of_block(instructions(block.code), block.executions, block.jumps, timing)
    return total


def _of_block(code: Sequence[Instruction], executions: int, jumps: int, timing: Timing) -> Work:
    least = likely = most = 0
    for position, instruction in enumerate(code):
        cost = timing.cost(instruction.kind)
        moved = cost.each * instruction.count + timing.pc_load * instruction.to_pc
        saved = _saved(code, position, timing)
        least += cost.least + moved
        likely += cost.likely + moved - saved
        most += cost.most + moved
    if timing.issue == 2:
        least = _paired(code)
    # The end of a low-overhead loop jumps without filling the pipeline again.
    looped = bool(code) and code[-1].kind is Kind.LOOP_END
    refill = (0, 0, timing.refill[2]) if looped else timing.refill
    return Work(
        instructions=len(code) * executions,
        least=least * executions + refill[0] * jumps,
        likely=likely * executions + refill[1] * jumps,
        most=most * executions + refill[2] * jumps,
        loaded=sum(i.loaded for i in code) * executions,
        stored=sum(i.stored for i in code) * executions,
    )


def _saved(code: Sequence[Instruction], position: int, timing: Timing) -> int:
    """Cycles that an instruction takes less, because of those beside it."""
    this = code[position]
    if this.kind in _BEATWISE:
        return _overlaps(code, position)
    if not timing.pipelined or this.kind not in (Kind.LOAD, Kind.STORE):
        return 0
    if this.kind is Kind.STORE and not this.indexed:
        return 1
    before = code[position - 1] if position else None
    follows = before is not None and before.kind is Kind.LOAD and not before.to_pc
    return int(follows and before is not None and not before.writes & this.address)


def _overlaps(code: Sequence[Instruction], position: int) -> int:
    """1 where a vector instruction's second half runs beside the first half of the next one."""
    this = code[position].kind
    if this is Kind.VECTOR_GATHER:
        return 0
    behind = position + 1
    if behind < len(code) and code[behind].kind is Kind.LOOP_END:
        behind = 0  # the loop's next turn
    after = code[behind].kind if behind < len(code) else None
    return int(after in _BEATWISE and _unit(after) != _unit(this))


def _unit(kind: Kind) -> Kind:
    return Kind.VECTOR_LOAD if kind in _MEMORY else kind


def _paired(code: Sequence[Instruction]) -> int:
    """Fewest cycles with two instructions a cycle, of which one multiplies, branches or stores."""
    words = [i.count // 2 for i in code if i.kind in (Kind.LOAD_MANY, Kind.STORE_MANY)]
    return max(
        (len(code) + 1) // 2,
        sum(i.kind in _MULTIPLIES for i in code),
        sum(i.kind in _BRANCHES for i in code),
        sum(i.kind in _STORES for i in code),
        sum(words),
    )
