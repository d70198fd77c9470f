"""Many models in one C file: each case with each kernel that can compute it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.kernels.case import Case
from tests.kernels.cases import always, beyond_oracle, cases_of
from tinydeploy.emit.model import model_source
from tinydeploy.graph import Array
from tinydeploy.ops import OPERATORS
from tinydeploy.plan.plan import Isa, Kernel, Placement, Plan, Target
from tinydeploy.plan.planner import make_plan

# The names of model.c that would meet in one file.
_NAMES = re.compile(
    r"\b(td_arena|td_(?:at|offset|runners|steps?)|run_td_\w+|layer_\d+\w*|td_model_\w+)\b(?!\.h)"
)
_INCLUDE = re.compile(r"^#include .*\n", re.MULTILINE)
_GAP_BYTES = 64
_ISAS = (Isa.DSP, Isa.SCALAR)
_MOST_DRAWS = 10

# How a model stands in the table that the driver reads; the same text for host and core.
HEADER = """\
#include <stddef.h>
#include <stdint.h>
#include "td_model.h"

typedef struct {
  td_status (*run)(void);
  td_tensor (*input)(uint32_t);
  td_tensor (*output)(uint32_t);
  uint32_t sets, inputs, outputs;
  uint8_t *arena;
  uint32_t arena_bytes;
  const uint32_t (*holes)[2];
  uint32_t hole_count;
} batch_model;
extern const batch_model batch[];
extern const uint32_t batch_size;
"""


@dataclass(frozen=True, eq=False)
class Variant:
    """A case, computed by one kernel.

    Attributes:
        kernel: None where the operator needs none: its output is its input.
        plan: With every tensor in a place of its own, or with the output over the input.
    """

    case: Case
    kernel: Kernel | None
    plan: Plan

    @property
    def holes(self) -> list[tuple[int, int]]:
        """[begin, end) of the arena's bytes that belong to nothing; at least one, maybe empty."""
        plan = self.plan
        taken = [*plan.placements.values(), *(s for s in plan.scratch if s is not None)]
        holes, end = [], 0
        for place in sorted(taken, key=lambda p: p.offset):
            holes.append((end, max(end, place.offset)))
            end = max(end, place.offset + place.bytes)
        return [*holes, (end, plan.arena_bytes)]

    def __repr__(self) -> str:
        kernel = self.kernel.name if self.kernel else "no kernel"
        return f"{kernel} on {self.case!r}"


def draw_cases(operator: str, count: int, start: int) -> tuple[Case, ...]:
    """`count` cases, those that are always tried, those beyond the oracle, and more for kernels
    that none of these are for; the same for the same `start`."""
    cases = [*_draw(operator, count, start), *always(operator), *beyond_oracle(operator)]
    wanted = {k.name for k in OPERATORS[operator].KERNELS if k.isa in _ISAS} - _tried(cases)
    for more in range(1, _MOST_DRAWS):
        if not wanted:
            break
        for case in _draw(operator, count, start + 1000 * more):
            if wanted & _tried([case]):
                cases.append(case)
                wanted -= _tried([case])
    return tuple(cases)


def _tried(cases: Iterable[Case]) -> set[str]:
    """Names of the kernels that these cases are computed by."""
    return {v.kernel.name for v in variants_of(cases, _ISAS) if v.kernel}


def _draw(operator: str, count: int, start: int) -> list[Case]:
    cases: list[Case] = []

    @seed(start)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases_of(operator))
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    return cases


def variants_of(cases: Iterable[Case], isas: Sequence[Isa]) -> tuple[Variant, ...]:
    """Every case with every kernel of these instruction sets that applies to it."""
    found = []
    for position, case in enumerate(cases):
        (node,) = case.graph.nodes
        operator = OPERATORS[node.op]
        if not operator.KERNELS:
            found.append(Variant(case, None, make_plan(case.graph, Target((Isa.SCALAR,)))))
        for kernel in operator.KERNELS:
            if kernel.isa not in isas or not kernel.applies(node.params):
                continue
            with mock.patch.object(operator, "KERNELS", (kernel,)):
                plan = make_plan(case.graph, Target((kernel.isa,)))
            if not plan.calls:
                found.append(Variant(case, None, plan))
                break
            plan = _grown(plan) if position % 3 == 0 else plan
            found.append(Variant(case, kernel, _spread(plan, in_place=position % 2 == 0)))
    return tuple(found)


def _grown(plan: Plan) -> Plan:
    """The plan of one call with all the scratch that it gains from."""
    ((call,), (scratch,)) = plan.calls, plan.scratch
    if call.in_memory is None or scratch is None:
        return plan
    fields, scratch_bytes = call.in_memory(1 << 20)
    call = replace(call, fields={**call.fields, **fields}, scratch_bytes=scratch_bytes)
    return replace(plan, calls=(call,), scratch=(replace(scratch, bytes=scratch_bytes),))


def _spread(plan: Plan, *, in_place: bool) -> Plan:
    """The plan of one call with gaps between its tensors, for the sanitizer to watch."""
    end = _GAP_BYTES

    def put(size: int) -> int:
        nonlocal end
        start, end = end, (end + size + _GAP_BYTES + 7) // 8 * 8
        return start

    moved: dict[int, Placement] = {}
    outputs = set(plan.graph.outputs)
    # What shares bytes keeps doing so, as one block of all of it.
    for block in _blocks(plan.placements):
        begin = min(plan.placements[t].offset for t in block)
        size = max(plan.placements[t].offset + plan.placements[t].bytes for t in block) - begin
        start = put(size)
        for t in block:
            place = plan.placements[t]
            apart = not in_place and t in outputs and len(block) > 1
            offset = put(place.bytes) if apart else start + place.offset - begin
            moved[t] = replace(place, offset=offset)
    scratch = tuple(
        None if place is None else replace(place, offset=put(place.bytes)) for place in plan.scratch
    )
    return replace(plan, placements=moved, scratch=scratch, arena_bytes=end)


def _blocks(placements: Mapping[int, Placement]) -> list[list[int]]:
    """Tensors in groups of common bytes."""
    blocks: list[list[int]] = []
    end = -1
    for t in sorted(placements, key=lambda t: placements[t].offset):
        if placements[t].offset < end:
            blocks[-1].append(t)
        else:
            blocks.append([t])
        end = max(end, placements[t].offset + placements[t].bytes)
    return blocks


def source_of(variants: Sequence[Variant]) -> str:
    """One C file with every variant's model.c and the table `batch` of them all."""
    headers = sorted({call.header for v in variants for call in v.plan.calls})
    parts = [HEADER, *(f'#include "{header}"\n' for header in headers)]
    rows = []
    for i, variant in enumerate(variants):
        model = _INCLUDE.sub("", model_source(variant.plan))
        parts.append(_NAMES.sub(rf"case_{i}_\1", model))
        holes = variant.holes
        pairs = ", ".join(f"{{{begin}, {end}}}" for begin, end in holes)
        parts.append(f"static const uint32_t case_{i}_holes[][2] = {{{pairs}}};\n")
        prefix = f"case_{i}_td_model_"
        graph = variant.case.graph
        rows.append(
            f"  {{{prefix}run, {prefix}input, {prefix}output, {len(variant.case.inputs)}, "
            f"{len(graph.inputs)}, {len(graph.outputs)}, case_{i}_td_arena, "
            f"{variant.plan.arena_bytes}, case_{i}_holes, {len(holes)}}},\n"
        )
    parts.append(f"const batch_model batch[] = {{\n{''.join(rows)}}};\n")
    parts.append(f"const uint32_t batch_size = {len(variants)};\n")
    return "\n".join(parts)


def kernel_sources(variants: Iterable[Variant]) -> list[str]:
    return sorted({v.kernel.source for v in variants if v.kernel})


def first_difference(variants: Sequence[Variant], answers: Sequence[Sequence[bytes]]) -> str:
    """Says which variant first gave other bytes than `reference()`; empty when none did.

    Args:
        answers: For each variant, the outputs of all its input sets, one after the other.
    """
    for variant, answered in zip(variants, answers, strict=True):
        expected = [array for arrays in variant.case.expected for array in arrays]
        for position, (array, content) in enumerate(zip(expected, answered, strict=True)):
            got: Array = np.frombuffer(content, array.dtype).reshape(array.shape)
            if got.tobytes() == array.tobytes():
                continue
            where = np.argwhere(got != array)
            first = tuple(int(i) for i in where[0]) if len(where) else ()
            return (
                f"{variant!r}, output {position}: {len(where)} of {array.size} elements differ, "
                f"first {list(first)}: {got[first]}, should be {array[first]}"
            )
    return ""
