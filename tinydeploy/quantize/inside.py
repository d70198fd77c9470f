"""A quantised model with all its tensors visible, computed as a device would."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph import Array, Graph, Node
from ..oracle import TfliteMicro
from . import modelfile as mf
from .finish import bare_graph
from .floatrun import Runner
from .frameworks import native_silence
from .subject import Port

# What the quantiser puts between layers of different types.
_BETWEEN = ("QUANTIZE", "DEQUANTIZE")


class Inside:
    """Runs a `.tflite` file and shows what every layer put out.

    Args:
        content: Quantised, or mixed with float.
        label: What errors call it.

    Attributes:
        name: What computes: TFLite Micro, or LiteRT where that is missing or refuses.
    """

    def __init__(self, content: bytes, label: str) -> None:
        self._ports = _ports(content, label)
        graph = _graph(content, label)
        self._inputs = tuple(self._ports[i] for i in graph.inputs)
        self._given = graph.inputs
        self._values: Mapping[int, Array] = {}
        self._micro = _micro(graph, content)
        self._runner = None if self._micro else Runner(content, keep=True)
        self.name = self._micro.name if self._micro else "LiteRT"

    def run(self, inputs: Sequence[Array]) -> None:
        """Computes one sample, given as real numbers."""
        stored = [p.stored(v).reshape(p.shape) for p, v in zip(self._inputs, inputs, strict=True)]
        given = dict(zip(self._given, stored, strict=True))
        if self._micro:
            self._values = {**given, **self._micro.layers(stored)}
        elif self._runner:
            self._runner.run(stored)
            self._values = given

    def stored(self, tensor: int) -> Array:
        """A tensor after a run, as the file has it."""
        if tensor in self._values:
            return self._values[tensor]
        if self._runner is None:
            raise KeyError(tensor)
        return self._runner.tensor(tensor)

    def real(self, tensor: int) -> Array:
        """A tensor after a run, as real numbers: float64."""
        return self._ports[tensor].real(self.stored(tensor))

    def port(self, tensor: int) -> Port:
        """A tensor's type and scale."""
        return self._ports[tensor]


def quantised_operators(model: Any) -> list[Any]:
    """A quantised model's operators in the float model's order: without the conversions."""
    return [
        operator
        for operator in model.subgraphs[0].operators
        if mf.operator_name(model, operator) not in _BETWEEN
    ]


def _graph(content: bytes, label: str) -> Graph:
    """The file's graph, a node a tensor: `layers()` then shows each tensor by its own number."""
    graph = bare_graph(content, label)
    nodes = tuple(Node(i, n.op, n.inputs, (i,), None) for n in graph.nodes for i in n.outputs)
    return dataclasses.replace(graph, nodes=nodes)


def _micro(graph: Graph, content: bytes) -> TfliteMicro | None:
    if importlib.util.find_spec("tflite_micro") is None:
        return None
    try:
        with native_silence():
            return TfliteMicro(graph, content)
    except InputError:
        return None


def _ports(content: bytes, label: str) -> list[Port]:
    model = mf.read(content, label)
    ports = []
    for tensor in model.subgraphs[0].tensors:
        scales = mf.scales_of(tensor)
        zeros = mf.indices(tensor.quantization.zeroPoint) if tensor.quantization else []
        single = scales is not None and scales.size == 1
        ports.append(
            Port(
                name=mf.text(tensor.name),
                shape=mf.shape_of(tensor),
                dtype=mf.NUMPY_TYPES.get(tensor.type, np.dtype(np.uint8)),
                scale=float(scales[0]) if single and scales is not None else 0.0,
                zero_point=zeros[0] if zeros and single else 0,
            )
        )
    return ports
