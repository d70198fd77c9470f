"""`compress.json`: every stage of a compression, what it computes and what it costs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ..files import write_whole
from .report import Tool
from .terminal import SOFT, STRONG, indented, printable, signs, table

SCHEMA = 1


@dataclass(frozen=True)
class Figures:
    """What a stage's int8 file answers and costs.

    Attributes:
        float_score: Of the network in TensorFlow; after quantisation-aware training, of its
            simulation.
        int8_score: Of the `.tflite` file, in the oracle.
        parameters: Of the network.
        zeros: The share of zeros among the int8 weights.
        file_bytes, gzip_bytes: Of the `.tflite`.
        arena_bytes, weights_bytes, macs: As planned.
        flash_bytes, ram_bytes: Of the whole image; null where none was built.
        instructions: One inference on the board's emulator; null where it was not run.
        notes: What should be known.
    """

    float_score: float
    int8_score: float
    parameters: int
    zeros: float
    file_bytes: int
    gzip_bytes: int
    macs: int
    arena_bytes: int
    weights_bytes: int
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """The original network, or what a step made of it.

    Attributes:
        name: As the table has it.
        do: The step's kind; "" of the original.
        tflite: The int8 file, relative to the folder of compress.json.
        sha256: Of that file.
        duration_s: What training and converting took, when it was done.
        reused: Whether an earlier run had done it.
    """

    name: str
    do: str
    tflite: str
    sha256: str
    duration_s: float
    reused: bool
    figures: Figures


@dataclass(frozen=True)
class Compression:
    """All of a recipe.

    Attributes:
        recipe: The recipe's path, as given.
        model: The network's path, as the recipe has it.
        metric: What the scores are: accuracy, or mse where lower is better.
        samples: How many the scores are of.
        oracle: What computed the int8 scores.
        board, core: What costs are of; board is null where none was named.
        result: The last stage's file beside compress.json.
        complete: Whether every step is done.
    """

    tool: Tool
    recipe: str
    model: str
    metric: str
    samples: int
    oracle: Tool
    board: str | None
    core: str
    result: str
    complete: bool
    stages: tuple[Stage, ...]
    schema: int = SCHEMA


def to_json(compression: Compression) -> str:
    """The file's text."""
    return json.dumps(dataclasses.asdict(compression), indent=2, allow_nan=False) + "\n"


def write(compression: Compression, path: Path) -> None:
    """Writes the file whole or not at all."""
    write_whole(path, to_json(compression))


def print_compression(compression: Compression, to: Console) -> None:
    """A row a stage: how well it does, and what it costs."""
    sign = signs(to)
    title = Text(printable(compression.recipe), STRONG)
    where = f" on {compression.board}" if compression.board else f", planned for {compression.core}"
    title.append(f"  {compression.metric} of {compression.samples} samples{where}", SOFT)
    to.print(title)
    columns: dict[str, Callable[[Figures], str]] = {
        "float": lambda f: _score(f.float_score, compression.metric),
        "int8": lambda f: _score(f.int8_score, compression.metric),
        "zeros": lambda f: f"{f.zeros:.0%}",
        "file": lambda f: _kib(f.file_bytes),
        "gzip": lambda f: _kib(f.gzip_bytes),
        "arena": lambda f: _kib(f.arena_bytes),
        "flash": lambda f: _kib(f.flash_bytes),
        "MACs": lambda f: _many(f.macs),
        "instr.": lambda f: _many(f.instructions),
    }
    figures = [stage.figures for stage in compression.stages]
    if all(f.flash_bytes is None for f in figures):
        del columns["flash"]
    if all(f.instructions is None for f in figures):
        del columns["instr."]
    made = table(sign, "stage", *columns, left=("stage",))
    for stage in compression.stages:
        cells = [Text(show(stage.figures)) for show in columns.values()]
        made.add_row(Text(printable(stage.name, 18)), *cells)
    to.print(indented(made, above=1))
    notes = [(s.name, note) for s in compression.stages for note in s.figures.notes]
    if notes:
        to.print()
        for name, note in notes:
            to.print(Text(f"  {printable(name, 30)}: {printable(note, 200)}", SOFT))


def _score(value: float, metric: str) -> str:
    return f"{value:.1%}" if metric == "accuracy" else f"{value:.4g}"


def _kib(count: int | None) -> str:
    return "-" if count is None else f"{count / 1024:.1f}K"


def _many(count: int | None) -> str:
    if count is None:
        return "-"
    for unit, of in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * of:
            return f"{count / of:.4g}{unit}"
    return str(count)
