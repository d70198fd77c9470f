"""How weights and activations are spread, and where their quantisation ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..graph import Array, Graph, Node, Tensor
from ..report.evaluation import Histogram
from .data import Dataset, arranger
from .modelfile import need
from .subject import Subject, computed

_BINS = 64
_SAMPLES = 32
_MOST_VALUES = 4096  # of one tensor in one sample
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def of_all(subjects: Sequence[Subject], data: Dataset) -> list[tuple[Histogram, ...]]:
    """Each model's histograms; those of a quantised one show the float model's activations where
    one is among them and its tensors have the same names, since only these reach beyond the ends.
    """
    real: Mapping[str, Array] = {}
    for subject in subjects:
        if subject.graph is None and subject.numbers == "float32":
            real = _float_tensors(subject, data)
            break
    return [of_one(subject, data, real) for subject in subjects]


def of_one(
    subject: Subject, data: Dataset, real: Mapping[str, Array] | None = None
) -> tuple[Histogram, ...]:
    """Weights and activations of a quantised model; nothing of a float one.

    Args:
        data: The first of its samples are run.
        real: A float model's weights and activations by tensor name.
    """
    if subject.graph is None:
        return ()
    return (
        *_weights(subject.graph, real or {}),
        *_activations(subject, subject.graph, data, real or {}),
    )


def histogram(
    name: str, kind: Any, values: Array, ends: tuple[float, float] | None, clipped: float
) -> Histogram:
    """Counts of `values` in bins that reach over them and over the ends."""
    low, high = float(values.min()), float(values.max())
    if ends:
        low, high = min(low, ends[0]), max(high, ends[1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, _BINS, (low, high))
    return Histogram(
        name=name,
        kind=kind,
        counts=tuple(int(c) for c in counts),
        low=low,
        high=high,
        clip_low=ends[0] if ends else None,
        clip_high=ends[1] if ends else None,
        clipped=clipped,
    )


def _weights(graph: Graph, real: Mapping[str, Array]) -> list[Histogram]:
    found = []
    for node in graph.nodes:
        if node.op not in _WEIGHTED:
            continue
        tensor = graph.tensors[node.inputs[1]]
        quantization = tensor.quantization
        if tensor.data is None or quantization is None:
            continue
        along = [1] * len(tensor.shape)
        if len(quantization.scales) > 1:
            along[quantization.axis] = len(quantization.scales)
        scales = np.array(quantization.scales).reshape(along)
        zeros = np.array(quantization.zero_points).reshape(along)
        values = (tensor.data.astype(np.float64) - zeros) * scales
        clipped = 0.0
        before = real.get(tensor.name)
        if before is not None and before.shape == tensor.shape:
            values = before
            clipped = float((np.abs(before) > 128 * scales).mean())
        end = float(127 * scales.max())
        found.append(histogram(_label(node), "weights", values, (-end, end), clipped))
    return found


def _activations(
    subject: Subject, graph: Graph, data: Dataset, real: Mapping[str, Array]
) -> list[Histogram]:
    measured = {} if _all_in(graph, real) else _quantised_activations(subject, graph, data)
    found = []
    for node in graph.nodes:
        tensor = graph.tensors[node.outputs[0]]
        ends = _ends(tensor)
        values = real.get(tensor.name, measured.get(tensor.name))
        if ends is None or values is None or node.op == "RESHAPE":
            continue
        if tensor.name in real:  # the end itself stands for values up to a step beyond it
            beyond = (values < ends[0] - tensor.scale) | (values > ends[1] + 1.001 * tensor.scale)
        else:  # a lower end of 0 is where ReLU cuts, not the quantisation
            beyond = (values >= ends[1]) | ((values <= ends[0]) & (ends[0] < 0))
        clipped = float(beyond.mean())
        found.append(histogram(_label(node), "activations", values, ends, clipped))
    return found


def _label(node: Node) -> str:
    return f"{node.index} {node.op}"


def _all_in(graph: Graph, real: Mapping[str, Array]) -> bool:
    return all(graph.tensors[node.outputs[0]].name in real for node in graph.nodes)


def _ends(tensor: Tensor) -> tuple[float, float] | None:
    if tensor.quantization is None or not tensor.quantization.scales:
        return None
    limits = np.iinfo(tensor.dtype.numpy)
    low, high = (tensor.scale * (int(e) - tensor.zero_point) for e in (limits.min, limits.max))
    return low, high


def _fed(subject: Subject, data: Dataset) -> Any:
    """What the model is given of the first samples, as it stores it."""
    shapes = [port.shape for port in subject.inputs]
    arrange = arranger(data, [port.name for port in subject.inputs], shapes)
    for sample in islice(data, _SAMPLES):
        if any(
            np.asarray(v).size != np.prod(s) for v, s in zip(sample.inputs, shapes, strict=True)
        ):
            continue  # windows: the first sample alone would be hundreds
        yield tuple(p.stored(v) for p, v in zip(subject.inputs, arrange(sample), strict=True))


def _quantised_activations(subject: Subject, graph: Graph, data: Dataset) -> Mapping[str, Array]:
    assert subject.oracle is not None
    kept: dict[str, list[Array]] = {}
    for inputs in _fed(subject, data):
        answers = subject.oracle.layers(inputs)
        for node in graph.nodes:
            tensor = graph.tensors[node.outputs[0]]
            if _ends(tensor) is not None:
                stored = _thinned(answers[node.index]).astype(np.float64)
                values = (stored - tensor.zero_point) * tensor.scale
                kept.setdefault(tensor.name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def _float_tensors(subject: Subject, data: Dataset) -> Mapping[str, Array]:
    litert = need("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(
        model_content=subject.content,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    tensors = [d for d in interpreter.get_tensor_details() if d["dtype"] is np.float32]
    changing = computed(subject.content, subject.path.name) | {d["index"] for d in details}
    constants = {
        str(d["name"]): v
        for d in tensors
        if d["index"] not in changing and (v := _read(interpreter, d)) is not None
    }
    kept: dict[str, list[Array]] = {}
    for inputs in _fed(subject, data):
        for detail, value in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        for detail in tensors:
            name = str(detail["name"])
            values = _read(interpreter, detail) if detail["index"] in changing else None
            if values is not None:
                kept.setdefault(name, []).append(_thinned(values))
    return constants | {name: np.concatenate(parts) for name, parts in kept.items()}


def _read(interpreter: Any, detail: Mapping[str, Any]) -> Array | None:
    """A tensor's content; None where it has none."""
    try:
        content: Array = interpreter.get_tensor(detail["index"])
    except ValueError:
        return None
    return content


def _thinned(values: Array) -> Array:
    flat = np.array(values).ravel()
    return flat[:: -(-flat.size // _MOST_VALUES)] if flat.size else flat
