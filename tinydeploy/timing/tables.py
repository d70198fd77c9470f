"""How long instructions take on each core, from Arm's manuals.

A cost is (least, likely, most) cycles. Where a manual gives one number the three are equal. What
a taken branch adds is not in the table but in `Timing.refill`, once for each that was taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from .thumb import Kind


class Cost(NamedTuple):
    """Cycles: of the instruction, and for each register that it moves."""

    least: int = 1
    likely: int = 1
    most: int = 1
    each: int = 0


@dataclass(frozen=True)
class Timing:
    """A core's table.

    Attributes:
        source: The manual and its table.
        costs: What is not here takes one cycle.
        refill: (least, likely, most) cycles that a taken branch adds: the pipeline fills again.
        pc_load: Cycles that POP and LDM to PC take beyond the same without PC and `refill`.
        pipelined: A load that follows a load, and does not need it, takes a cycle less; a store
            to a register and a constant leaves the rest to the write buffer.
        issue: Most instructions a cycle.
        exact: The manual has a table, so that `likely` means something.
    """

    source: str
    costs: Mapping[Kind, Cost]
    refill: tuple[int, int, int]
    pc_load: int = 0
    pipelined: bool = False
    issue: int = 1
    exact: bool = True

    def cost(self, kind: Kind) -> Cost:
        return self.costs.get(kind, _ONE)


@dataclass(frozen=True)
class Beats:
    """Multiply-accumulates a cycle at best, by what is multiplied.

    Attributes:
        bits8, bits16: With int8 and with int16 activations.
    """

    bits8: int = 1
    bits16: int = 1


_ONE = Cost()


def _fixed(cycles: int, each: int = 0) -> Cost:
    return Cost(cycles, cycles, cycles, each)


_M0 = Timing(
    "Cortex-M0 TRM (DDI 0432C), table 3-1",
    {
        Kind.LOAD: _fixed(2),
        Kind.STORE: _fixed(2),
        Kind.LOAD_MANY: _fixed(1, 1),
        Kind.STORE_MANY: _fixed(1, 1),
        Kind.CALL: _fixed(2),
        Kind.SYSTEM: _fixed(4),
        Kind.BARRIER: _fixed(4),
    },
    refill=(2, 2, 2),
    pc_load=1,
)

_M0PLUS = replace(
    _M0,
    source="Cortex-M0+ TRM (DDI 0484C), table 3-1",
    costs={**_M0.costs, Kind.SYSTEM: _fixed(3), Kind.BARRIER: _fixed(3)},
    refill=(1, 1, 1),
)

_M4 = Timing(
    "Cortex-M4 TRM (DDI 0439D), table 3-1, 3.3.3 and table 7-1",
    {
        Kind.DIV: Cost(2, 7, 12),
        Kind.IT: Cost(0, 1, 1),
        Kind.SYSTEM: Cost(1, 2, 2),
        Kind.BARRIER: Cost(1, 4, 4),
        Kind.TABLE: _fixed(2),
        Kind.LOAD: Cost(1, 2, 2),
        Kind.STORE: Cost(1, 2, 2),
        Kind.LOAD_PAIR: _fixed(1, 1),
        Kind.STORE_PAIR: _fixed(1, 1),
        Kind.LOAD_MANY: _fixed(1, 1),
        Kind.STORE_MANY: _fixed(1, 1),
        Kind.FLOAT_MOVE: _fixed(0, 1),
        Kind.FLOAT_MAC: _fixed(3),
        Kind.FLOAT_DIV: _fixed(14),
        Kind.FLOAT_MOVE: _fixed(0, 1),
        Kind.FLOAT_LOAD: _fixed(1, 1),
        Kind.FLOAT_STORE: _fixed(1, 1),
    },
    refill=(1, 2, 3),
    pipelined=True,
)

_M3 = replace(
    _M4,
    source="Cortex-M3 TRM (DDI 0337I), table 3-1 and 3.3.2",
    costs={
        **_M4.costs,
        Kind.MLA: _fixed(2),
        Kind.MULL: Cost(3, 4, 5),
        Kind.MLAL: Cost(4, 5, 7),
    },
)

_M33 = replace(
    _M4,
    source="no table is published for the Cortex-M33: the Cortex-M4's (DDI 0439D)",
    exact=False,
)

_M7 = replace(
    _M4,
    source="no table is published for the Cortex-M7: from two instructions a cycle "
    "to the Cortex-M4's one by one (DDI 0439D)",
    issue=2,
    exact=False,
)

_M55 = Timing(
    "Cortex-M55 TRM (101051): two beats a cycle; Armv8-M ARM (DDI 0553), B5.2 "
    "Vector execution; no table of scalar instructions is published",
    {
        Kind.DIV: Cost(2, 7, 12),
        Kind.IT: Cost(0, 1, 1),
        Kind.SYSTEM: Cost(1, 2, 2),
        Kind.BARRIER: Cost(1, 4, 4),
        Kind.TABLE: _fixed(2),
        Kind.LOAD: Cost(1, 1, 2),
        Kind.LOAD_MANY: Cost(0, 1, 1, 1),
        Kind.STORE_MANY: Cost(0, 1, 1, 1),
        Kind.LOAD_PAIR: Cost(1, 1, 3),
        Kind.STORE_PAIR: Cost(1, 1, 3),
        Kind.FLOAT_MAC: Cost(1, 3, 4),
        Kind.FLOAT_DIV: Cost(10, 14, 20),
        Kind.VECTOR: Cost(1, 2, 2),
        Kind.VECTOR_MAC: Cost(1, 2, 2),
        Kind.VECTOR_LOAD: Cost(1, 2, 2),
        Kind.VECTOR_STORE: Cost(1, 2, 2),
        Kind.VECTOR_GATHER: Cost(4, 8, 16),
        Kind.LOOP_END: Cost(0, 0, 1),
    },
    refill=(1, 2, 3),
    exact=False,
)

TIMINGS: Mapping[str, Timing] = {
    "cortex-m0": _M0,
    "cortex-m0plus": _M0PLUS,
    "cortex-m3": _M3,
    "cortex-m4": _M4,
    "cortex-m7": _M7,
    "cortex-m33": _M33,
    "cortex-m55": _M55,
}

# SMLAD: two of 16 bits a cycle. Cortex-M55: 64 bits of a vector a cycle.
_DSP = Beats(2, 2)
BEATS: Mapping[str, Beats] = {
    "cortex-m4": _DSP,
    "cortex-m7": _DSP,
    "cortex-m33": _DSP,
    "cortex-m55": Beats(8, 4),
}
