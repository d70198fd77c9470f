"""The proof: the device's answers against the oracle's, and where they part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .graph import Array, Graph, Tensor
from .inputs import InputSet
from .oracle import Oracle
from .plan.plan import Plan
from .report.report import Difference
from .wire import Client, LayerResult


@dataclass(frozen=True)
class RunResult:
    """What the device did with every input.

    Attributes:
        outputs: One row an input, one array an output of the model.
        equal: For each input, whether all outputs were the oracle's.
        init, inference: What td_model_init() and the costliest run took, in `Transport.counts`.
        layer_counts: `Node.index` -> what it took; empty when it was not run layer by layer.
        layer_equal: `Node.index` -> whether its output was the oracle's; empty likewise.
        first_difference: None when every input is equal.
        retries: Requests that had to be sent again.
    """

    outputs: tuple[tuple[Array, ...], ...]
    equal: tuple[bool, ...]
    init: int
    inference: int
    layer_counts: Mapping[int, int]
    layer_equal: Mapping[int, bool]
    first_difference: Difference | None
    retries: int


def run(
    client: Client,
    plan: Plan,
    oracle: Oracle,
    inputs: Sequence[InputSet],
    *,
    layers: bool,
    progress: Callable[[int], None] = lambda done: None,
) -> RunResult:
    """Runs every input on the device and compares.

    Args:
        client: Connected to a firmware that holds the model.
        plan: What the firmware was made from.
        oracle: Knows the right answers.
        inputs: At least one input set.
        layers: Also run layer by layer on the first input, comparing each layer's output. On the
            first input that differs this is done in any case.
        progress: Told how many inputs are done.

    Raises:
        DeviceError: The device crashed, fell silent, or holds another model.
    """
    graph = plan.graph
    init = client.hello().init_count
    outputs: list[tuple[Array, ...]] = []
    equal: list[bool] = []
    first: Difference | None = None
    inference = 0
    counts: dict[int, int] = {}
    same: dict[int, bool] = {}
    for number, sample in enumerate(inputs):
        sent = [value.tobytes() for value in sample]
        answer = client.infer(sent)
        inference = max(inference, answer.count)
        got = tuple(
            np.frombuffer(data, graph.tensors[t].dtype.numpy).reshape(graph.tensors[t].shape)
            for data, t in zip(answer.outputs, graph.outputs, strict=True)
        )
        expected = oracle.run(sample)
        outputs.append(got)
        equal.append(all(_same(g, e) for g, e in zip(got, expected, strict=True)))
        differs_first = not equal[-1] and first is None
        if (layers and number == 0) or differs_first:
            steps = client.infer(sent, layers=True).layers
            counts = {step.index: step.count for step in steps}
            same, culprit = compare_layers(graph, steps, oracle.layers(sample), number)
            if differs_first:
                first = culprit or _first_output(graph, got, expected, number)
            elif culprit is not None:
                first = culprit
        progress(number + 1)
    return RunResult(
        outputs=tuple(outputs),
        equal=tuple(equal),
        init=init,
        inference=inference,
        layer_counts=counts,
        layer_equal=same,
        first_difference=first,
        retries=client.retries,
    )


def _same(got: Array, expected: Array) -> bool:
    # Bit for bit: equal NaNs are equal, zeros of different sign are not.
    return got.tobytes() == np.ascontiguousarray(expected).tobytes()


def computed_of(tensor: Tensor, whole: Array) -> Array:
    """What a plan's tensor has of the one in the file, of the same name."""
    kept = whole if tensor.kept is None else tensor.kept.take(whole)
    return kept.reshape(tensor.shape)


def compare_layers(
    graph: Graph, steps: Sequence[LayerResult], expected: Mapping[int, Array], number: int
) -> tuple[dict[int, bool], Difference | None]:
    """Each layer's verdict, and the first difference among them."""
    nodes = {node.index: node for node in graph.nodes}
    same: dict[int, bool] = {}
    first: Difference | None = None
    for step in steps:
        node = nodes[step.index]
        tensor = graph.tensors[node.outputs[0]]
        got = np.frombuffer(step.output, tensor.dtype.numpy).reshape(tensor.shape)
        wanted = computed_of(tensor, expected[step.index])
        same[step.index] = _same(got, wanted)
        if first is None and not same[step.index]:
            first = _difference(number, node.index, node.op, tensor.name, got, wanted)
            if tensor.kept is not None:
                *place, channel = first.first_index
                first = replace(first, first_index=(*place, tensor.kept.channels[channel]))
    return same, first


def _first_output(
    graph: Graph, got: Sequence[Array], expected: Sequence[Array], number: int
) -> Difference:
    """The difference of a whole run whose layers, run one by one, all agree."""
    for tensor, g, e in zip(graph.outputs, got, expected, strict=True):
        if not _same(g, e):
            return _difference(number, None, None, graph.tensors[tensor].name, g, e)
    raise AssertionError("the outputs are equal")


def _difference(
    number: int, layer: int | None, op: str | None, tensor: str, got: Array, expected: Array
) -> Difference:
    raw = np.dtype(f"u{got.dtype.itemsize}")
    differing = np.ascontiguousarray(got).view(raw) != np.ascontiguousarray(expected).view(raw)
    where = np.argwhere(differing)
    place = tuple(int(i) for i in where[0])
    distance = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    return Difference(
        input=number,
        layer=layer,
        op=op,
        tensor=tensor,
        elements_differing=len(where),
        elements=got.size,
        max_abs_difference=float(np.nan_to_num(distance, nan=0.0, posinf=3.4e38).max()),
        first_index=place,
        expected=float(np.nan_to_num(expected[place])),
        got=float(np.nan_to_num(got[place])),
    )
