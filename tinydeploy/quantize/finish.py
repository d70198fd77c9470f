"""The last step of every tool that writes a `.tflite`: the file is repacked, and looked at.

Repacked: nothing dead, no equal constant twice, data inside the flatbuffer and 16-byte aligned,
what was done to it in its metadata, the same content always in the same bytes. `modelfile` says
why this goes through the whole generated schema.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph import DType, Graph, Node, Quantization, Tensor
from ..oracle import TfliteMicro
from ..tflite import reader
from ..tflite.tensors import printable
from . import modelfile as mf
from .frameworks import native_silence
from .subject import computes_in

# The metadata entry that tinydeploy writes: a JSON object of strings, keys in order.
METADATA = "tinydeploy"
# What converters say of themselves, which differs from one machine to the next.
_NOISE = ("min_runtime_version", "CONVERSION_METADATA", METADATA)


@dataclass(frozen=True)
class Verdict:
    """What can be done with a finished file.

    Attributes:
        engine: Which engine puts it on a device: "aot", "tflm", or "" for none.
        reason: Why not "aot"; empty when it is.
        inputs, outputs: Their types.
    """

    engine: str
    reason: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def finish(content: bytes, metadata: Mapping[str, str], *, label: str = "the model") -> bytes:
    """Repacks a `.tflite` file.

    Args:
        content: The file.
        metadata: Added to what tinydeploy wrote into it before: "labels", "normalization",
            "recipe", hashes of inputs…; an empty value takes a key away.
        label: What errors call it.

    Raises:
        InputError: It is damaged, or has a dimension that is not fixed.
    """
    model = mf.read(content, label)
    _check_static(model, label)
    entries = {**_read_metadata(model), **metadata}
    model.metadata = [m for m in model.metadata or () if mf.text(m.name) not in _NOISE]
    kept = {key: value for key, value in sorted(entries.items()) if value}
    if kept:
        text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        _add_metadata(model, METADATA, text.encode())
    mf.drop_unused(model)
    return mf.write(model)


def read_metadata(content: bytes, label: str = "the model") -> Mapping[str, str]:
    """What tinydeploy wrote into a file when it finished it."""
    return MappingProxyType(_read_metadata(mf.read(content, label)))


def _read_metadata(model: Any) -> dict[str, str]:
    for entry in model.metadata or ():
        if mf.text(entry.name) == METADATA:
            try:
                stored = json.loads(np.asarray(model.buffers[entry.buffer].data).tobytes())
                return {str(key): str(value) for key, value in stored.items()}
            except (ValueError, AttributeError, RecursionError):
                return {}
    return {}


def _add_metadata(model: Any, name: str, content: bytes) -> None:
    generated = mf.schema()
    data = np.frombuffer(content, np.uint8)
    model.metadata.append(generated.MetadataT(name=name.encode(), buffer=len(model.buffers)))
    model.buffers.append(generated.BufferT(data=data))


def _check_static(model: Any, label: str) -> None:
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        shape = mf.indices(tensor.shapeSignature) or list(mf.shape_of(tensor))
        if any(d < 0 for d in shape[1:]) or any(d <= 0 for d in mf.shape_of(tensor)):
            raise InputError(
                f"{label}: tensor {index} {printable(mf.text(tensor.name))} has the shape {shape}, "
                "which is not fixed",
                "convert the model with a fixed input shape, such as a batch of 1",
            )
        tensor.shapeSignature = None


# ---- What the engines and the oracle say ----------------------------------------------------


def verdict(content: bytes, label: str) -> Verdict:
    """Which engine a file is for: our reader takes it, or at least TFLite Micro loads it."""
    graph = bare_graph(content, label)
    engine, reason = "aot", ""
    try:
        reader.loads(content, label)
    except InputError as error:
        engine, reason = "tflm", error.message
    refusal = _micro_refuses(graph, content)
    if refusal or computes_in(content, label).startswith("float32"):
        engine, reason = "", reason or refusal
    return Verdict(
        engine=engine,
        reason=reason,
        inputs=tuple(graph.tensors[i].dtype.value for i in graph.inputs),
        outputs=tuple(graph.tensors[i].dtype.value for i in graph.outputs),
    )


def _micro_refuses(graph: Graph, content: bytes) -> str:
    """TFLite Micro's complaint; empty when it loads the file, or is not here to be asked."""
    if importlib.util.find_spec("tflite_micro") is None:
        return ""
    try:
        with native_silence():
            TfliteMicro(graph, content)
    except InputError as error:
        return error.message
    return ""


def bare_graph(content: bytes, label: str) -> Graph:
    """A file's tensors and ends, and its operators without what they do: enough for TFLite Micro
    to run it.

    It serves files whose operators tinydeploy's own engine does not have.
    """
    model = mf.read(content, label)
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(model, i, t) for i, t in enumerate(subgraph.tensors))
    return Graph(
        name=label.removesuffix(".tflite"),
        sha256="",
        size_bytes=len(content),
        tensors=tensors,
        nodes=tuple(
            Node(
                index,
                mf.operator_name(model, operator),
                tuple(mf.indices(operator.inputs)),
                tuple(mf.indices(operator.outputs)),
                None,
            )
            for index, operator in enumerate(subgraph.operators)
        ),
        inputs=tuple(mf.indices(subgraph.inputs)),
        outputs=tuple(mf.indices(subgraph.outputs)),
    )


def _tensor(model: Any, index: int, tensor: Any) -> Tensor:
    dtype = mf.NUMPY_TYPES.get(tensor.type)
    known = dtype is not None and dtype.name in {d.value for d in DType}
    scales = mf.scales_of(tensor)
    quantization = None
    if scales is not None:
        zeros = mf.indices(tensor.quantization.zeroPoint) or [0]
        quantization = Quantization(
            tuple(float(s) for s in scales),
            tuple(int(z) for z in np.resize(zeros, scales.size)),
            int(tensor.quantization.quantizedDimension),
        )
    return Tensor(
        index=index,
        name=mf.text(tensor.name),
        shape=mf.shape_of(tensor),
        dtype=DType(dtype.name) if known and dtype is not None else DType.UINT8,
        quantization=quantization,
        data=mf.constant(model, tensor) if known else None,
    )
