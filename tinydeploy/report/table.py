"""Views of a `Report` in the terminal: the build, the proof, the layers."""

from __future__ import annotations

import re

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .junit import describe
from .report import Difference, Layer, LeftOut, Memory, Report
from .terminal import (
    BAD,
    GOOD,
    SOFT,
    STRONG,
    Signs,
    bar,
    fitting,
    indented,
    printable,
    shape,
    signs,
    size,
    without,
)

_BAR_CELLS = 30


def print_build(report: Report, to: Console) -> None:
    """What was built, and how much of the board it takes."""
    to.print(_title(report))
    if report.memory:
        to.print(indented(_memory(report.memory, report.left_out, signs(to)), above=1))


def print_verify(report: Report, to: Console) -> None:
    """Whether the device computed what the oracle computes, and what it cost."""
    to.print(indented(Group(*_verdict(report, signs(to))), above=1))


def print_layers(report: Report, to: Console) -> None:
    """A row a layer: what computes it, and its share of the cost."""
    if report.layers:
        to.print(indented(_layers(report, to), above=1))


def short_kernel(layer: Layer) -> str:
    """A kernel's name without what the operator's column says: "s8 3x3 dsp"."""
    name = layer.kernel.removeprefix("td_").replace(layer.op.lower(), "")
    return " ".join(part for part in name.split("_") if part)


def short_version(version: str) -> str:
    """The number in what a compiler says of itself: "12.2.1"."""
    numbers = re.findall(r"(?<![\w:.-])\d+(?:\.\d+)+(?![\w.-])", version)
    return numbers[0] if numbers else printable(version)


def _title(report: Report) -> Text:
    built = [report.core, f"{report.engine} engine"]
    if report.toolchain:
        built.append(f"{report.toolchain.name} {short_version(report.toolchain.version)}")
    return Text.assemble(
        (f"{printable(report.model.name)} on {report.board}\n", STRONG),
        (f"{', '.join(built)}, for {report.optimize}", SOFT),
    )


def _memory(memory: Memory, left_out: LeftOut | None, sign: Signs) -> RenderableType:
    bars = Table.grid(padding=(0, 2))
    for name, taken, given in (
        ("RAM", memory.ram_bytes, memory.board_ram_bytes),
        ("flash", memory.flash_bytes, memory.board_flash_bytes),
    ):
        if taken is None:
            continue
        row = [Text(name), Text(), Text(size(taken))]
        if given:
            share = taken / given
            row[1] = bar(share, _BAR_CELLS, sign)
            row[2].append(f" of {size(given)}", SOFT).append(f"  {share:.1%}", SOFT)
        bars.add_row(*row)
    parts = Text()
    for name, taken in (
        ("arena", memory.arena_bytes),
        ("used", memory.arena_used_bytes),
        ("planned", memory.arena_planned_bytes),
        ("weights", memory.weights_bytes),
        ("code", memory.code_bytes),
    ):
        if taken is not None:
            parts.append(f"{name} ", SOFT).append(f"{taken:,} B").append("    ")
    parts.rstrip()
    head = (bars, Text()) if bars.row_count else ()  # the host has neither
    return Group(*head, parts, *left_out_text(left_out))


def left_out_text(left_out: LeftOut | None) -> list[Text]:
    """A line; none where nothing was left out."""
    if left_out is None:
        return []
    line = Text.assemble(("dead channels ", SOFT), f"{left_out.channels:,}")
    line.append(f" of {left_out.of_channels:,}    left out ", SOFT)
    return [line.append(f"{left_out.macs:,} MACs, {left_out.weights_bytes:,} B of weights")]


def _verdict(report: Report, sign: Signs) -> list[Text]:
    verify = report.verify
    if verify is None:
        told = report.error or report.outcome
        return [Text(f"{sign.bad} ", BAD).append(printable(told, 400))]
    inputs = _count(verify.inputs, "input")
    if verify.equal:
        line = _headline(sign.good, "bit-exact", GOOD).append(f"on {inputs}")
    else:
        line = _headline(sign.bad, "differs", BAD)
        line.append(f"on {verify.inputs - verify.inputs_equal} of {inputs}")
    if report.runner:
        line.append(f", run by {report.runner.name} {report.runner.version}", SOFT)
    compared = "equal to" if verify.equal else "compared with"
    oracle = Text(f"  {compared} {verify.oracle.name} {verify.oracle.version}", SOFT)
    return [line, oracle, *_difference(verify.first_difference), *_costs(report, sign)]


def _headline(sign: str, word: str, colour: str) -> Text:
    text = Text()
    return text.append(f"{sign} {word}", f"{STRONG} {colour}").append("  ")


def _difference(first: Difference | None) -> list[Text]:
    if first is None:
        return []
    place, _, figures = describe(first).partition(": ")
    many, _, where = figures.partition("; ")
    return [
        Text(f"  first difference: {place}"),
        Text(f"    {many}"),
        Text(f"    {where}"),
        Text(f"    tensor {printable(first.tensor)}", SOFT),
    ]


def _costs(report: Report, sign: Signs) -> list[Text]:
    lines = []
    cost = report.instructions
    if cost.inference is not None:
        macs = sum(layer.macs for layer in report.layers)
        line = Text()
        line.append(f"  {cost.inference:,} {cost.counter} an inference")
        if macs:
            line.append(f", {cost.inference / macs:.2f} a MAC", SOFT)
        if cost.init is not None:
            line.append(f", {cost.init:,} to start", SOFT)
        lines.append(line)
    if report.verify and report.verify.retries:
        lines.append(Text(f"  {_count(report.verify.retries, 'frame')} sent again", SOFT))
    if report.accuracy and report.accuracy.inputs:
        right, of = report.accuracy.correct, report.accuracy.inputs
        line = _headline(sign.good, "accuracy", GOOD).append(f" {right / of:.1%}")
        lines.append(line.append(f", {right} of {of} labels", SOFT))
        others = {"float": report.accuracy.float_correct, "host": report.accuracy.host_correct}
        known = [f"{name} {n / of:.1%}" for name, n in others.items() if n is not None]
        if known:
            lines.append(Text(f"  {', '.join(known)}, device {right / of:.1%}", SOFT))
    return lines


def _layers(report: Report, to: Console) -> Table:
    layers = report.layers
    measured = any(layer.instructions is not None for layer in layers)
    compared = any(layer.equal is not None for layer in layers)
    unit = "instr" if report.instructions.counter == "instructions" else "cycles"
    columns = ["#", "operator", "kernel"]
    columns += [] if measured else ["output"]
    columns += ["MACs"]
    columns += [unit, "/MAC", "share"] if measured else []
    columns += ["equal"] if compared else []
    sign = signs(to)
    total = sum(layer.instructions or 0 for layer in layers)
    rows = [_row(layer, unit, total, sign) for layer in layers]

    variants = without(columns, ("/MAC", "share", "output", "MACs", "kernel", "#"))
    return fitting(to, rows, variants, ("operator", "kernel", "output"), "kernel")


def _row(layer: Layer, unit: str, total: int, sign: Signs) -> dict[str, Text]:
    count, per_mac, share = _measured(layer, total, sign)
    return {
        "#": Text(str(layer.index), SOFT),
        "operator": Text(layer.op),
        "kernel": Text(short_kernel(layer) or sign.dash, SOFT),
        "output": Text(shape(layer.output_shape, sign), SOFT),
        "MACs": Text(f"{layer.macs:,}" if layer.macs else sign.dash),
        unit: count,
        "/MAC": per_mac,
        "share": share,
        "equal": _equal(layer, sign),
    }


def _measured(layer: Layer, total: int, sign: Signs) -> list[Text]:
    count = layer.instructions
    if count is None:
        return [Text(sign.dash)] * 3
    return [
        Text(f"{count:,}"),
        Text(f"{count / layer.macs:.2f}" if layer.macs else sign.dash, SOFT),
        Text(f"{count / total:.1%}" if total else sign.dash),
    ]


def _equal(layer: Layer, sign: Signs) -> Text:
    if layer.equal is None:
        return Text(sign.dash, SOFT)
    return Text(sign.good, GOOD) if layer.equal else Text(sign.bad, BAD)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
