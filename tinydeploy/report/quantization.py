"""What a quantisation did, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .terminal import BAD, GOOD, SOFT, STRONG, Signs, indented, printable, signs, size, table

if TYPE_CHECKING:
    from ..quantize import QuantizeResult
    from ..quantize.compare import Score


def print_quantization(result: QuantizeResult, to: Console) -> None:
    """The candidates, what the amount of data did, what looks wrong, and what the file is for."""
    sign = signs(to)
    to.print(_title(result))
    rows = [*filter(None, [result.float_score]), *result.methods]
    if result.methods:
        to.print(indented(_scores("calibration", rows, result.calibration, sign), above=1))
    if result.repairs:
        to.print(indented(_repairs(result, sign), above=1))
    if len(result.sizes) > 1:
        to.print(indented(_scores("samples", result.sizes, "", sign), above=1))
    if result.warnings:
        to.print()
    for warning in result.warnings:
        to.print(Text(f"! {printable(warning, 400)}", "yellow"), soft_wrap=True)
    to.print()
    to.print(_verdict(result, sign), soft_wrap=True)


def _title(result: QuantizeResult) -> Text:
    shrunk = f"{size(result.float_bytes)} to {size(result.bytes)}"
    method = f", ranges by {result.calibration}" if result.calibration else ""
    of = f" of {result.samples} samples" if result.samples else ""
    ends = f"{'/'.join(result.verdict.inputs)} in, {'/'.join(result.verdict.outputs)} out"
    return Text.assemble(
        (f"{printable(result.out.name)}\n", STRONG),
        (f"{shrunk}, {ends}{method}{of}", SOFT),
    )


def _scores(head: str, scores: Sequence[Score], chosen: str, sign: Signs) -> Table:
    labelled = any(s.correct is not None for s in scores)
    classes = any(s.agreeing is not None for s in scores)
    columns = [head, "accuracy"] if labelled else [head]
    columns += ["as float"] if classes else []
    made = table(sign, *columns, "mean squared error", "computed by", left=(head, "computed by"))
    for score in scores:
        mark = f" {sign.good}" if score.name == chosen and len(scores) > 2 else ""
        row = [Text(score.name).append(mark, GOOD)]
        if labelled:
            row.append(Text(_share(score.correct, score.samples)))
        if classes:
            row.append(Text(sign.dash if score.agreeing is None else f"{score.agreeing:.1%}"))
        row.append(Text(sign.dash if score.name == "float" else f"{score.error:.3g}"))
        row.append(Text(score.judge.partition(" ")[0], SOFT))
        made.add_row(*row)
    return made


def _repairs(result: QuantizeResult, sign: Signs) -> Group:
    """What each repair brought, on top of those before it."""
    labelled = result.repairs[0].score is not None and result.repairs[0].score.correct is not None
    heads = ["repair", "layers", *(["accuracy"] if labelled else []), "mean squared error"]
    made = table(sign, *heads, left=("repair",))
    for step in result.repairs:
        row = [step.name or "none", str(step.layers) if step.name else ""]
        score = step.score
        if labelled:
            row.append(_share(score.correct, score.samples) if score else sign.dash)
        row.append(f"{score.error:.3g}" if score else sign.dash)
        made.add_row(*map(Text, row))
    notes = [
        Text(f"{step.name}: {printable(note, 200)}", SOFT)
        for step in result.repairs
        for note in step.notes
    ]
    return Group(made, *([Text()] if notes else []), *notes)


def _share(correct: int | None, samples: int) -> str:
    return "-" if correct is None else f"{correct / samples:.1%} of {samples}"


def _verdict(result: QuantizeResult, sign: Signs) -> Text:
    verdict = result.verdict
    if verdict.engine == "aot":
        return Text(f"{sign.good} ready for firmware", GOOD)
    if verdict.engine == "tflm":
        text = Text(f"{sign.bad} only for TFLite Micro: ", BAD)
    else:
        text = Text(f"{sign.bad} for comparison only, not for firmware: ", BAD)
    return text.append(printable(verdict.reason, 300))
