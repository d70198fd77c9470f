"""Who says what a model answers: TFLite Micro for what a device runs, LiteRT for the rest."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..graph import Array, Graph
from ..graph import Tensor as GraphTensor
from ..oracle import Oracle, TfliteMicro, open_oracle
from ..tflite import reader
from .finish import bare_graph
from .floatrun import Runner
from .subject import Port, computes_in


@dataclass(frozen=True, eq=False)
class Judge:
    """Computes a model's answers, from real numbers to real numbers.

    Attributes:
        name: What computes, for the user to know.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    run: Callable[[Sequence[Array]], tuple[Array, ...]]

    def answer(self, values: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs, float64.

        Args:
            values: Of the inputs' shapes, batch dimension included.
        """
        given = [p.stored(v).reshape(p.shape) for p, v in zip(self.inputs, values, strict=True)]
        return tuple(p.real(v) for p, v in zip(self.outputs, self.run(given), strict=True))


def open_judge(content: bytes, label: str) -> Judge:
    """Who computes this file as a device would; LiteRT where no device could run it."""
    if not computes_in(content, label).startswith("float32"):
        try:
            graph = reader.loads(content, label)
            return _device(graph, open_oracle(graph, content))
        except InputError:
            pass
        if importlib.util.find_spec("tflite_micro") is not None:
            try:
                graph = bare_graph(content, label)
                return _device(graph, TfliteMicro(graph, content))
            except InputError:
                pass
    runner = Runner(content)
    return Judge("LiteRT", runner.inputs, runner.outputs, runner.run)


def _device(graph: Graph, oracle: Oracle) -> Judge:
    inputs = tuple(_port(graph.tensors[i]) for i in graph.inputs)
    outputs = tuple(_port(graph.tensors[i]) for i in graph.outputs)
    return Judge(oracle.name, inputs, outputs, oracle.run)


def _port(tensor: GraphTensor) -> Port:
    if tensor.quantization is None:
        return Port(tensor.name, tensor.shape, tensor.dtype.numpy)
    quantization = tensor.quantization
    scale, zero = quantization.scales[0], quantization.zero_points[0]
    return Port(tensor.name, tensor.shape, tensor.dtype.numpy, scale, zero)
