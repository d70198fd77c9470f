"""View of a `Report` in the terminal: where an inference spends its time."""

from __future__ import annotations

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .pictures import short
from .report import Cost, Layer, Report, Timing
from .table import short_kernel
from .terminal import SOFT, STRONG, Signs, fitting, indented, signs, without

_BOTH = "operator and kernel"


def print_profile(report: Report, to: Console) -> None:
    """A row a layer: its work, its estimated time, and the time that its arithmetic alone needs."""
    if report.timing is None:
        return
    to.print(indented(_layers(report, report.timing, to), above=1))
    to.print(indented(Group(*_totals(report, report.timing)), above=1))


def cycles_text(timing: Timing) -> str:
    """The estimate: "5,693,639 cycles", or its bounds."""
    if timing.bounds_only:
        return f"{timing.cycles_least:,} to {timing.cycles_most:,} cycles"
    return f"{timing.cycles:,} cycles"


def time_text(timing: Timing) -> str:
    """The same in seconds at the board's clock; "" where that is not known."""
    if timing.clock_hz is None:
        return ""
    if timing.bounds_only:
        bounds = (timing.cycles_least, timing.cycles_most)
        least, most = (1000 * cycles / timing.clock_hz for cycles in bounds)
        return f"{least:.2f} to {most:.2f} ms at {timing.clock_hz / 1e6:g} MHz"
    return f"{1000 * timing.cycles / timing.clock_hz:.2f} ms at {timing.clock_hz / 1e6:g} MHz"


def share(layer: Layer, report: Report) -> float:
    """Of the inference's time that a layer takes: of instructions where only bounds are known."""
    timing = report.timing
    if timing is None or layer.cost is None:
        return 0.0
    if timing.bounds_only:
        total = sum(other.instructions or 0 for other in report.layers)
        return (layer.instructions or 0) / total if total else 0.0
    return layer.cost.cycles / timing.cycles if timing.cycles else 0.0


def _layers(report: Report, timing: Timing, to: Console) -> Table:
    cycles = ("least", "most") if timing.bounds_only else ("cycles",)
    figures = ("MACs", "instr", "/MAC", *cycles, "floor", "share", "bytes")
    sign = signs(to)
    rows = [_row(layer, layer.cost, report, sign) for layer in report.layers if layer.cost]

    variants = [
        ["#", "operator", "kernel", *figures],
        *without(["#", _BOTH, *figures], ("bytes", "/MAC", "floor", "MACs", "instr")),
    ]
    return fitting(to, rows, variants, ("operator", "kernel", _BOTH), _BOTH)


def _row(layer: Layer, cost: Cost, report: Report, sign: Signs) -> dict[str, Text]:
    return {
        "#": Text(str(layer.index), SOFT),
        "operator": Text(layer.op),
        "kernel": Text(short_kernel(layer) or sign.dash, SOFT),
        _BOTH: Text(_what(layer)),
        "MACs": Text(_figure(layer.macs) if layer.macs else sign.dash),
        "instr": Text(_figure(layer.instructions or 0)),
        "/MAC": Text(_per_mac(layer, sign), SOFT),
        "cycles": Text(_figure(cost.cycles)),
        "least": Text(_figure(cost.cycles_least)),
        "most": Text(_figure(cost.cycles_most)),
        "floor": Text(_figure(cost.cycles_floor) if layer.macs else sign.dash, SOFT),
        "share": Text(f"{share(layer, report):.1%}"),
        "bytes": Text(_figure(cost.bytes_loaded + cost.bytes_stored), SOFT),
    }


def _what(layer: Layer) -> str:
    """The operator and what its kernel's name adds to it: "conv s8 dsp"."""
    operator = layer.op.lower().removesuffix("_2d").replace("depthwise_conv", "depthwise")
    return f"{operator} {short_kernel(layer)}"


def _figure(value: float) -> str:
    return short(value).replace(" ", "")


def _per_mac(layer: Layer, sign: Signs) -> str:
    if not layer.macs or layer.instructions is None:
        return sign.dash
    return f"{layer.instructions / layer.macs:.2f}"


def _totals(report: Report, timing: Timing) -> list[Text]:
    instructions = sum(layer.instructions or 0 for layer in report.layers)
    macs = sum(layer.macs for layer in report.layers)
    stalls = sum(layer.cost.flash_stalls for layer in report.layers if layer.cost)
    first = Text.assemble((f"{instructions:,} instructions", STRONG))
    if macs:
        first.append(f", {instructions / macs:.2f} a MAC", SOFT)
    time = time_text(timing)
    second = Text.assemble((f"estimated {cycles_text(timing)}", STRONG))
    second.append(f", {time}" if time else "")
    if not timing.bounds_only:
        second.append(f" ({timing.cycles_least:,} to {timing.cycles_most:,})", SOFT)
    third = Text(f"floor {timing.cycles_floor:,} cycles", SOFT)
    if timing.wait_states:
        third.append(f"; {stalls:,} cycles wait for the flash ({timing.wait_states} wait states)")
    return [first, second, third, Text(f"timing: {timing.source}", SOFT)]
