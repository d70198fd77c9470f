"""Runs of layers computed a few rows at a time, so that what lies between them never is whole.

Each layer of a run computes what the one behind it asks for next. Between two layers a buffer
holds the rows that are still to be read; those that are kept are moved to its start before new
ones come behind them, so that a kernel finds its input in one piece and nothing is computed twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..graph import Graph, Node
from ..ops import OPERATORS
from ..ops.convolution import Axis
from ..ops.pool import Params as PoolParams
from .plan import Isa, Kernel, KernelCall, Part, Target, Trail
from .search import ALIGNMENT, round_up
from .select import select_kernel

KERNEL = Kernel("td_strips", Isa.SCALAR)
_ROWS = (4, 2, 1)  # of the run's output at a time
_LONGEST = 12  # layers of a run
_BY_ROWS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_LEAST_GAIN = 32  # of the arena: of two runs, the one that takes less must by one part of so many
_WORTH = 8  # and the first one takes one part of so many less than none


@dataclass(frozen=True)
class _Layer:
    """A layer that can be computed by rows.

    Attributes:
        h: Its windows along the height.
        known: Calls for rows that were lowered already.
    """

    node: Node
    graph: Graph
    target: Target
    h: Axis
    known: dict[Axis, KernelCall] = field(default_factory=dict)

    def rows(self, first: int, last: int) -> tuple[int, int]:
        """(first, last) row inside the input that rows `first` to `last` of the output need."""
        h = self.h
        low = first * h.stride - h.pad
        high = last * h.stride - h.pad + (h.kernel - 1) * h.dilation
        return max(low, 0), min(high, h.size - 1)

    def call(self, first: int, last: int) -> KernelCall:
        """Computes rows `first` to `last` from the input's rows that they need."""
        low, high = self.rows(first, last)
        pad = max(0, self.h.pad - first * self.h.stride)
        h = replace(self.h, size=high - low + 1, out=last - first + 1, pad=pad)
        if h not in self.known:
            node = replace(self.node, params=_with_height(self.node.params, h))
            made = OPERATORS[node.op].lower(node, self.graph, select_kernel(node, self.target))
            assert made is not None
            self.known[h] = replace(made, trails=(), in_memory=None)
        return self.known[h]


def _layer(graph: Graph, call: KernelCall, target: Target) -> _Layer | None:
    """None for layers that cannot be computed by rows."""
    node = next(node for node in graph.nodes if node.index == call.layer)
    if call.op not in _BY_ROWS or call.parts or node.params.batches != 1:
        return None
    p = node.params
    if isinstance(p, PoolParams):
        return _Layer(
            node, graph, target, Axis(p.in_h, p.out_h, p.filter_h, p.stride_h, 1, p.pad_h)
        )
    return _Layer(node, graph, target, p.h)


def _with_height(params: Any, h: Axis) -> Any:
    if isinstance(params, PoolParams):
        return replace(params, in_h=h.size, out_h=h.out, pad_h=h.pad)
    return replace(params, h=h)


@dataclass
class _Lines:
    """The rows of a tensor between two layers: `base` and those behind it, up to `done`."""

    row_bytes: int
    base: int = 0
    done: int = -1
    most: int = 0
    offset: int = 0


def _fuse(layers: Sequence[_Layer], last_call: KernelCall, rows: int) -> KernelCall | None:
    """A run as one call; None where it cannot be one.

    Args:
        layers: Each reads what the one before made, and nobody else does.
        rows: Of the output, at a time.
    """
    tensors = [layers[0].node.inputs[0], *(layer.node.outputs[0] for layer in layers)]
    shapes = [layers[0].graph.tensors[t] for t in tensors]
    lines = [_Lines(t.bytes // t.shape[1]) for t in shapes]
    lines[0].done, height = shapes[0].shape[1] - 1, shapes[-1].shape[1]
    parts: list[Part] = []
    distance = 0
    for last in range(rows - 1, height + rows - 1, rows):
        wanted = _wanted(layers, lines, min(last, height - 1))
        if wanted is None:
            return None
        if wanted[1] > lines[1].done:
            reads = layers[0].rows(lines[1].done + 1, wanted[1])[0] * lines[0].row_bytes
            distance = max(distance, (lines[-1].done + 1) * lines[-1].row_bytes - reads)
        parts += _strip(layers, lines, wanted)
    at = 0
    for between in lines[1:-1]:
        between.offset = at
        at += round_up(between.most * between.row_bytes, ALIGNMENT)
    scratch = max((part.call.scratch_bytes for part in parts if part.call), default=0)
    return replace(
        last_call,
        kernel=KERNEL,
        fields={},
        inputs=layers[0].node.inputs[:1],
        scratch_bytes=at + scratch,
        macs=sum(layer.node.params.macs for layer in layers if hasattr(layer.node.params, "macs")),
        trails=(Trail(0, 0, distance),),
        in_memory=None,
        parts=tuple(_placed(part, lines, at) for part in parts),
    )


def _wanted(layers: Sequence[_Layer], lines: Sequence[_Lines], last: int) -> list[int] | None:
    """The last row of each tensor that is needed for row `last` of the output; None where a row
    reads nothing but padding."""
    wanted = [last]
    for layer, made in zip(reversed(layers), reversed(lines), strict=False):
        wanted[0] = max(wanted[0], made.done)
        if wanted[0] == made.done:
            wanted.insert(0, -1)
            continue
        low, high = layer.rows(made.done + 1, wanted[0])
        if low > high:
            return None
        wanted.insert(0, high)
    return wanted


def _strip(
    layers: Sequence[_Layer], lines: Sequence[_Lines], wanted: Sequence[int]
) -> Iterator[Part]:
    """The parts that compute the next rows of each layer; offsets are those within the tensors."""
    for i, layer in enumerate(layers):
        source, made, last = lines[i], lines[i + 1], wanted[i + 1]
        first = made.done + 1
        if last < first:
            continue
        if i + 1 < len(layers):
            yield from _keep(layers[i + 1], lines[i + 2].done + 1, wanted[i + 2], i + 1, made)
            made.most = max(made.most, last - made.base + 1)
        low, _ = layer.rows(first, last)
        yield Part(
            layer.call(first, last),
            output=i + 1,
            output_at=(first - made.base) * made.row_bytes,
            input=i,
            input_at=(low - source.base) * source.row_bytes,
            output_bytes=(last - first + 1) * made.row_bytes,
        )
        made.done = last


def _keep(reader: _Layer, first: int, last: int, position: int, made: _Lines) -> Iterator[Part]:
    """Drops the rows of a buffer that its reader, for rows `first` to `last`, does not need."""
    if last < first:
        return
    base = max(made.base, min(reader.rows(first, last)[0], made.done + 1))
    kept = (made.done + 1 - base) * made.row_bytes
    if kept and base > made.base:
        at = (base - made.base) * made.row_bytes
        yield Part(None, position, 0, position, at, kept)
    made.base = base


def _placed(part: Part, lines: Sequence[_Lines], scratch: int) -> Part:
    return replace(
        part,
        output_at=lines[part.output].offset + part.output_at,
        input_at=lines[part.input].offset + part.input_at,
        output=-1 if part.output == len(lines) - 1 else part.output,
        scratch_at=scratch,
    )


def in_strips(
    graph: Graph,
    target: Target,
    calls: tuple[KernelCall, ...],
    position: int,
    bytes_of: Callable[[tuple[KernelCall, ...], int], int],
) -> tuple[KernelCall, ...]:
    """The calls with the run that the smallest arena is for; as they are if none makes it smaller.

    Args:
        position: Of a call that the run must have.
        bytes_of: The arena that calls take; any number from the second argument on if they take
            as much.
    """
    least = bytes_of(calls, 1 << 62)
    best = calls
    for first, end in _runs(graph, target, calls, position):
        layers = [layer for c in calls[first:end] if (layer := _layer(graph, c, target))]
        for rows in _ROWS:
            whole = _fuse(layers, calls[end - 1], rows)
            if whole is None:
                continue
            other = (*calls[:first], whole, *calls[end:])
            enough = least - least // (_WORTH if best is calls else _LEAST_GAIN)
            takes = bytes_of(other, enough)
            if takes < enough:
                least, best = takes, other
    return best


def _runs(
    graph: Graph, target: Target, calls: Sequence[KernelCall], position: int
) -> Iterator[tuple[int, int]]:
    """(first, end) of the runs with the call at `position`, shortest first."""
    readers = Counter(t for node in graph.nodes for t in node.inputs)
    readers.update(graph.outputs)
    by_rows = [_layer(graph, call, target) is not None for call in calls]

    def chained(i: int) -> bool:
        """Whether call i + 1 alone reads what call i makes."""
        a, b = calls[i], calls[i + 1]
        return (
            by_rows[i] and by_rows[i + 1] and a.outputs == b.inputs and readers[a.outputs[0]] == 1
        )

    first = end = position
    while first > 0 and chained(first - 1):
        first -= 1
    while end + 1 < len(calls) and chained(end):
        end += 1
    found = [(a, b + 1) for a in range(first, position + 1) for b in range(position, end + 1)]
    yield from sorted((f for f in found if 1 < f[1] - f[0] <= _LONGEST), key=lambda f: f[1] - f[0])
