"""What a search found: its points, their front, and the one it would take."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .report import Tool

SCHEMA = 1
COSTS = ("instructions", "ram_bytes", "flash_bytes")


@dataclass(frozen=True)
class Point:
    """A trial.

    Attributes:
        number: From 0, in the order of the search.
        stage: Why it was tried.
        name: Its recipe, for people.
        recipe: The same, for programs.
        outcome: "failed" ones say why; "crashed" and "killed" ones were started twice where that
            might help.
        message: What is wrong; "" where nothing is.
        quality: Of the search's metric; null where it was not measured, as all below.
        error: Mean squared error against the float model's answers.
        judge: What computed them.
        file_bytes: Of the `.tflite` file.
        flash_bytes, ram_bytes: All that the image takes of the board.
        instructions: One inference on the board.
        verified: Whether the board's answers were the oracle's, bit for bit.
        holds: Whether the quality is within the limit, on a board that runs it.
        on_front: Whether no other point that runs is at least as good in everything.
        same_as: The number of an earlier trial that made the same file; null for new ones.
        sha256: Of the file.
        notes: What its repairs say.
    """

    number: int
    stage: str
    name: str
    recipe: Mapping[str, Any]
    outcome: Literal["done", "failed", "crashed", "killed"]
    message: str = ""
    quality: float | None = None
    error: float | None = None
    judge: str = ""
    file_bytes: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: int | None = None
    verified: bool = False
    holds: bool = False
    on_front: bool = False
    same_as: int | None = None
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the board computed what the oracle computes."""
        return self.verified and self.instructions is not None


@dataclass(frozen=True)
class Harm:
    """How much quantisation of one layer does, in the best int8 model.

    Attributes:
        index: The layer's number, after repairs.
        after: The layers whose outputs it takes.
        alone: Mean squared error of a model in which only this layer is quantised.
        all_but: The same where only this layer is not.
        saturated: The share of its output that lies outside its range.
        snr_db: Of its output; null where there is no error.
        extra_instructions: What int16 activations in it would cost; null where it is not known.
    """

    index: int
    op: str
    alone: float
    all_but: float
    saturated: float
    snr_db: float | None
    extra_instructions: int | None = None
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Search:
    """All of it.

    Attributes:
        model: The float model's file.
        model_sha256: Of the float `.tflite` that every trial began with.
        data, evaluation: Where samples come from.
        samples: How many the quality is of.
        metric: What it is; `share` if of one; `higher` if more is better.
        float_quality: Of the float model.
        max_drop: What was allowed.
        limit: The worst quality that holds.
        cheapest: What the choice goes by first.
        points: Every trial, in order.
        harms: Layers, most harmful first.
        chosen: The number of the point to take; null where none holds.
        reason: Why, a sentence.
    """

    tool: Tool
    model: str
    model_sha256: str
    board: str
    data: str
    evaluation: str
    samples: int
    metric: str
    share: bool
    higher: bool
    float_quality: float
    max_drop: float
    limit: float
    cheapest: str
    points: tuple[Point, ...]
    harms: tuple[Harm, ...] = ()
    chosen: int | None = None
    reason: str = ""
    schema: int = field(default=SCHEMA)


def to_dict(search: Search) -> dict[str, Any]:
    """The search as JSON has it, `schema` first; what is not finite is null."""
    content = dataclasses.asdict(search)
    made: dict[str, Any] = _finite({"schema": content.pop("schema"), **content})
    return made


def to_json(search: Search) -> str:
    """The search as text, ending in a newline: nothing of when, where or how fast."""
    return json.dumps(to_dict(search), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
