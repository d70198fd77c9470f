"""Variants whose output lies over their input, as close as the kernel allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.kernels.batch import Variant
from tinydeploy.plan.plan import Placement

_GAP_BYTES = 64


def _ceil(size: int, unit: int = 8) -> int:
    return -(-size // unit) * unit


def trailing(variants: Iterable[Variant]) -> Iterator[Variant]:
    """Each variant that may trail, doing so: output, input, scratch, with gaps around them.

    Where the distance has a step, every other one is a step farther.
    """
    for position, variant in enumerate(variants):
        if not variant.plan.calls or not variant.plan.calls[0].trails:
            continue
        (call,) = variant.plan.calls
        (trail,) = call.trails
        taken, made = call.inputs[trail.source], call.outputs[trail.sink]
        places = variant.plan.placements
        start = _GAP_BYTES + _ceil(trail.bytes, trail.multiple)
        start += trail.multiple if trail.multiple > 1 and position % 2 else 0
        end = max(start + places[taken].bytes, _GAP_BYTES + places[made].bytes) + _GAP_BYTES
        moved = {
            taken: replace(places[taken], offset=start),
            made: replace(places[made], offset=_GAP_BYTES),
        }
        scratch, end = _after(variant.plan.scratch[0], _ceil(end))
        plan = replace(variant.plan, placements=moved, scratch=(scratch,), arena_bytes=end)
        yield replace(variant, plan=plan)


def _after(scratch: Placement | None, end: int) -> tuple[Placement | None, int]:
    """(the scratch placed at `end`, what comes behind it)"""
    if scratch is None:
        return None, end
    return replace(scratch, offset=end), _ceil(end + scratch.bytes + _GAP_BYTES)
