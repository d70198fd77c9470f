"""Mixed precision: which layers get int16 activations or a wider range, cheapest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...report.search import Harm
from .recipe import Recipe

# Instructions an element between int8 and int16, where the search has not measured any:
# td_s8_s16_rescale and td_s16_s8_rescale on nucleo_l4r5zi.
_CONVERSION = 29.0
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_MOST_WIDENED = 3
_MOST_PAIRS = 3
# Calibrations under which nothing lies outside the range.
_CLIPS_NOTHING = ("minmax",)


def harms(
    layers: Sequence[Mapping[str, Any]],
    narrow: Mapping[str, Any],
    wide: Mapping[str, Any] | None,
) -> tuple[Harm, ...]:
    """The layers, those first where int16 takes away the most error for an instruction.

    Args:
        layers: Of an analysis, see `trial`.
        narrow: The result of the int8 model's trial.
        wide: That of the int16x8 model; None where there is none.
    """
    extra = _extra(narrow, wide)
    found = [
        Harm(
            index=layer["index"],
            after=tuple(layer["after"]),
            op=layer["op"],
            alone=layer["alone"],
            all_but=layer["all_but"],
            saturated=layer["saturated"],
            snr_db=layer["snr_db"],
            extra_instructions=extra.get(layer["index"]),
        )
        for layer in layers
    ]
    known = [h.extra_instructions for h in found if h.extra_instructions]
    unknown = sum(known) / len(known) if known else 1.0
    return tuple(
        sorted(found, key=lambda h: (-h.alone / (h.extra_instructions or unknown), h.index))
    )


def _extra(narrow: Mapping[str, Any], wide: Mapping[str, Any] | None) -> dict[int, int]:
    """What int16 adds to each layer's instructions, as both were measured on the board."""
    if wide is None:
        return {}
    ours = {layer["index"]: layer for layer in narrow["device"]["layers"]}
    theirs = {layer["index"]: layer for layer in wide["device"]["layers"]}
    found = {}
    for index in ours.keys() & theirs.keys():
        one, other = ours[index], theirs[index]
        if one["op"] != other["op"]:  # a repair took layers out: the numbers have moved
            return {}
        # On both sides, in the worst case.
        conversion = int(2 * _CONVERSION * one["elements"])
        found[index] = max(1, other["instructions"] - one["instructions"] + conversion)
    return found


def sets(found: Sequence[Harm]) -> list[tuple[int, ...]]:
    """Sets of layers for int16, cheapest first.

    What is between two layers has 16 bits only where both compute in them: so pairs are among the
    sets, and sets that grow by harm alone, beside those that grow by harm for an instruction.

    Args:
        found: See `harms()`.
    """
    harmful = [h for h in found if h.alone > 0]
    alone = {h.index: h.alone for h in harmful}
    price = {h.index: h.extra_instructions or 0 for h in harmful}
    by_harm = sorted(alone, key=lambda index: (-alone[index], index))
    grown = {
        frozenset(order[:size])
        for order in ([h.index for h in harmful], by_harm)
        for size in (*_SIZES, len(order))
        if order
    }
    pairs = {frozenset((before, h.index)) for h in harmful for before in h.after if before in alone}
    worst = sorted(pairs, key=lambda pair: (-sum(alone[i] for i in pair), sorted(pair)))
    tried = [tuple(sorted(s)) for s in grown | set(worst[:_MOST_PAIRS])]
    return sorted(tried, key=lambda s: (sum(price[i] for i in s), len(s), s))


def widened(found: Sequence[Harm], recipe: Recipe) -> list[tuple[int, ...]]:
    """Sets of layers to hold all that was seen: those that clip the most. It costs nothing."""
    if recipe.calibration in _CLIPS_NOTHING:
        return []
    clipping = sorted((h for h in found if h.saturated > 0), key=lambda h: -h.saturated)
    order = [h.index for h in clipping[:_MOST_WIDENED]]
    return [tuple(sorted(order[:n])) for n in range(1, len(order) + 1)]


def without_one(layers: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A set with one layer less, every way."""
    return [tuple(x for x in layers if x != gone) for gone in layers if len(layers) > 1]
