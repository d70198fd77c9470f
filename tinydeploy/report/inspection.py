"""Views of a model before it is built: its layers, the RAM plan, the boards that it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..graph import Graph, Tensor
from ..plan.plan import Constant, KernelCall, Plan
from .terminal import (
    BAD,
    BAR,
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
    table,
    without,
)

_MAP_CELLS = 40
_MAP_HEAD = "arena, first byte to last"


# Fields that are shown in hexadecimal.
_ADDRESSES = frozenset({"origin", "address", "register", "enable_register", "set", "clear"})


class Finding(Protocol):
    """What `doctor` found out about a tool.

    Attributes:
        name: The tool's.
        ok: Whether it is there and works.
        detail: Its version, or what is wrong, or what it would be good for.
        hint: What to type; empty when there is nothing to do.
        required: Whether nothing works without it.
    """

    @property
    def required(self) -> bool: ...
    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def hint(self) -> str: ...


@dataclass(frozen=True)
class BoardRow:
    """A board as the tables show it.

    Attributes:
        ram_bytes, flash_bytes: What the board has for the image.
        needs_ram_bytes, needs_flash_bytes: What a model takes of it; None where none is asked.
        runners: What can run it here or elsewhere.
    """

    name: str
    title: str
    core: str
    clock_hz: int
    ram_bytes: int
    flash_bytes: int
    runners: tuple[str, ...] = ()
    needs_ram_bytes: int | None = None
    needs_flash_bytes: int | None = None

    @property
    def fits(self) -> bool | None:
        """Whether the model fits; None where none is asked."""
        if self.needs_ram_bytes is None or self.needs_flash_bytes is None:
            return None
        return self.needs_ram_bytes <= self.ram_bytes and self.needs_flash_bytes <= self.flash_bytes


def print_model(graph: Graph, plan: Plan, to: Console) -> None:
    """Inputs, outputs, operators and the RAM plan of a model."""
    sign = signs(to)
    title = Text(printable(graph.name), STRONG).append(f"  {size(graph.size_bytes)}", SOFT)
    to.print(title.append(f"  sha256 {graph.sha256[:12]}", SOFT))
    to.print(indented(_interface(graph, sign), above=1))
    to.print(indented(_operators(plan, to), above=1))
    to.print(indented(_totals(plan), above=1))
    to.print(indented(_arena_map(plan, sign), above=1))
    to.print()


def print_boards(rows: Sequence[BoardRow], to: Console) -> None:
    """A row a board; with what a model takes of it where the rows say so."""
    sign = signs(to)
    asked = any(row.fits is not None for row in rows)
    last = "fits" if asked else "runs on"
    heads = ("board", "core", "clock", "flash", "RAM", last)
    made = table(sign, *heads, left=("board", "core", last), wrap=last)
    for row in rows:
        cells = [
            Text(row.name),
            Text(_short(row.core)),
            Text(f"{round(row.clock_hz / 1e6, 1):g} MHz" if row.clock_hz else sign.dash),
            Text(size(row.flash_bytes) if row.flash_bytes else sign.dash),
            Text(size(row.ram_bytes) if row.ram_bytes else sign.dash),
        ]
        cells.append(_fit(row, sign) if asked else Text(", ".join(row.runners) or "none", SOFT))
        made.add_row(*cells)
    to.print(made)


def _short(core: str) -> str:
    """ "M0+" for "cortex-m0plus"."""
    family, _, name = core.partition("-")
    return name.upper().replace("PLUS", "+") if family == "cortex" else core


def print_facts(facts: Mapping[str, Any], to: Console) -> None:
    """Nested names and values, such as all that is known of a board."""
    to.print(_facts(facts))


def print_findings(findings: Sequence[Finding], to: Console) -> None:
    """A row a tool: whether it is here, which one, and what to type where it is missing."""
    sign = signs(to)
    made = Table.grid(padding=(0, 2))
    for finding in findings:
        missing = Text(sign.bad, BAD) if finding.required else Text(sign.dash, SOFT)
        mark = Text(sign.good, GOOD) if finding.ok else missing
        told = Text(printable(finding.detail, 400), "" if finding.ok else SOFT, overflow="fold")
        if finding.hint:
            told.append(Text(f"\n{printable(finding.hint, 400)}", STRONG))
        made.add_row(mark, Text(finding.name), told)
    to.print(made)


def _facts(facts: Mapping[str, Any]) -> Table:
    made = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        for i, entry in enumerate(_entries(value)):
            shown = _facts(entry) if isinstance(entry, Mapping) else Text(_fact(name, entry))
            made.add_row(Text(name.replace("_", " ") if i == 0 else "", SOFT), shown)
    return made


def _entries(value: Any) -> Sequence[Any]:
    """Values that stand below each other: the members of a list of objects, else the value."""
    if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        return value
    return () if value in (None, [], (), {}) else (value,)


def _fact(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_fact(name, v) for v in value)
    if isinstance(value, int) and not isinstance(value, bool):
        if name in _ADDRESSES:
            return f"{value:#010x}"
        return size(value) if name.endswith("bytes") else f"{value:,}"
    return printable(str(value), 1000)


def _interface(graph: Graph, sign: Signs) -> Table:
    made = Table.grid(padding=(0, 2))
    for name, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            tensor = graph.tensors[index]
            made.add_row(
                Text(name, SOFT),
                Text(f"{tensor.dtype.value} {shape(tensor.shape, sign)}"),
                Text(_quantization(graph, index), SOFT),
                Text(printable(tensor.name, 30), SOFT, no_wrap=True, overflow="ellipsis"),
            )
    return made


def _quantization(graph: Graph, index: int) -> str:
    quantization = graph.tensors[index].quantization
    if quantization is None or not quantization.scales:
        return ""
    return f"scale {quantization.scales[0]:.6g}, zero {quantization.zero_points[0]}"


def _operators(plan: Plan, to: Console) -> Table:
    sign = signs(to)
    calls = {call.layer: (position, call) for position, call in enumerate(plan.calls)}
    rows: list[dict[str, Text]] = []
    for node in plan.graph.nodes:
        position, call = calls.get(node.index, (None, None))
        live = f"{plan.live_bytes(position):,}" if position is not None else sign.dash
        rows.append(
            {
                "#": Text(str(node.index), SOFT),
                "operator": Text(node.op),
                "output": _output_shape(plan.graph.tensors[node.outputs[0]], sign),
                "MACs": Text(f"{call.macs:,}" if call and call.macs else sign.dash),
                "weights": Text(f"{_constant_bytes(call):,}" if call else sign.dash),
                "live": Text(live),
            }
        )

    heads = ("#", "operator", "output", "MACs", "weights", "live")
    variants = without(heads, ("weights", "MACs", "output"))
    return fitting(to, rows, variants, ("operator", "output"))


def _output_shape(tensor: Tensor, sign: Signs) -> Text:
    text = Text(shape(tensor.shape, sign), SOFT)
    return text.append(f" of {tensor.kept.of}") if tensor.kept else text


def _constant_bytes(call: KernelCall) -> int:
    return sum(f.data.nbytes for f in call.fields.values() if isinstance(f, Constant))


def _totals(plan: Plan) -> Text:
    text = Text.assemble(f"{sum(c.macs for c in plan.calls):,} MACs")
    text.append("   weights ", SOFT).append(f"{plan.constant_bytes:,} B")
    text.append("   arena ", SOFT).append(f"{plan.arena_bytes:,} B")
    if plan.arena_bytes == plan.lower_bound_bytes:
        text.append(", the least possible", SOFT)
    else:
        text.append(f", {plan.lower_bound_bytes:,} at the least", SOFT)
    outputs = (plan.graph.tensors[node.outputs[0]] for node in plan.graph.nodes)
    left_out = sum(t.kept.of - len(t.kept.channels) for t in outputs if t.kept is not None)
    if left_out:
        text.append("\ndead channels ", SOFT).append(f"{left_out:,} left out")
    return text


def _arena_map(plan: Plan, sign: Signs) -> Group:
    """The arena over time: a row a call, a cell `arena_bytes / _MAP_CELLS` bytes."""
    made = table(sign, "#", _MAP_HEAD, "live", left=(_MAP_HEAD,))
    for position, call in enumerate(plan.calls):
        cells = Text()
        spans = _spans(plan, position, sign)
        for cell in range(_MAP_CELLS):
            first = cell * plan.arena_bytes // _MAP_CELLS
            last = (cell + 1) * plan.arena_bytes // _MAP_CELLS
            here = (look for look, start, end in spans if start < last and first < end)
            cells.append(*next(here, (sign.empty, SOFT)))
        made.add_row(Text(str(call.layer), SOFT), cells, Text(f"{plan.live_bytes(position):,}"))
    legend = Text()
    for name, (character, style) in _looks(sign).items():
        legend.append(character * 2, style).append(f" {name}   ", SOFT)
    return Group(made, legend)


def _looks(sign: Signs) -> dict[str, tuple[str, str]]:
    """How what lives in the arena is drawn: (character, style)."""
    return {
        "written": (sign.full, GOOD),
        "read or kept": (sign.kept, BAR),
        "scratch": (sign.scratch, "yellow"),
    }


def _spans(plan: Plan, position: int, sign: Signs) -> list[tuple[tuple[str, str], int, int]]:
    """(look, first byte, end) of what lives during a call; what hides another comes first."""
    looks = _looks(sign)
    outputs = plan.calls[position].outputs
    written = {plan.placements[i].offset for i in outputs if i in plan.placements}
    spans = [
        (looks["written" if place.offset in written else "read or kept"], place)
        for place in sorted(plan.alive(position), key=lambda p: p.offset not in written)
    ]
    scratch = plan.scratch[position]
    spans += [(looks["scratch"], scratch)] if scratch else []
    return [(look, place.offset, place.offset + place.bytes) for look, place in spans]


def _fit(row: BoardRow, sign: Signs) -> Text:
    missing = [
        f"{size(needs - has)} {name} short"
        for name, needs, has in (
            ("RAM", row.needs_ram_bytes or 0, row.ram_bytes),
            ("flash", row.needs_flash_bytes or 0, row.flash_bytes),
        )
        if needs > has
    ]
    if missing:
        return Text.assemble((f"{sign.bad} ", BAD), (", ".join(missing), SOFT))
    share = max(
        (row.needs_ram_bytes or 0) / (row.ram_bytes or 1),
        (row.needs_flash_bytes or 0) / (row.flash_bytes or 1),
    )
    return Text.assemble((f"{sign.good} ", GOOD), bar(share, 10, sign), (f" {share:.0%}", SOFT))
