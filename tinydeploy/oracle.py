"""What the device has to answer: TFLite Micro's own interpreter, or our NumPy reference."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from . import __version__, reference
from .errors import InputError
from .graph import Array, Graph

_NAMES = ("auto", "tflite-micro", "reference")


class Oracle(Protocol):
    """Computes a model on the host.

    Attributes:
        name: What computes, with its version: goes into the report.
    """

    @property
    def name(self) -> str: ...

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The model's outputs for one set of inputs, each of its tensor's shape and dtype."""

    def layers(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        """`Node.index` -> its first output, for one set of inputs."""


class TfliteMicro:
    """TFLite Micro's interpreter for the host (package tflite-micro, Linux x86-64)."""

    _ARENA_BYTES = 1 << 20

    def __init__(self, graph: Graph, content: bytes) -> None:
        if crashes := _crashes(graph):
            raise InputError(
                f"TFLite Micro's interpreter would crash: {crashes}", "use --oracle reference"
            )
        self.name = f"tflite-micro {importlib.metadata.version('tflite-micro')}"
        self._graph = graph
        self._content = content
        self._run = self._interpreter(preserve=False)
        self._layers: Any = None

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        self._invoke(self._run, inputs)
        return tuple(self._run.get_output(i) for i in range(len(self._graph.outputs)))

    def layers(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        if self._layers is None:
            self._layers = self._interpreter(preserve=True)
        self._invoke(self._layers, inputs)
        return {
            node.index: self._layers.GetTensor(node.outputs[0], 0)["tensor_data"]
            for node in self._graph.nodes
        }

    def _invoke(self, interpreter: Any, inputs: Sequence[Array]) -> None:
        for i, value in enumerate(inputs):
            interpreter.set_input(value, i)
        interpreter.invoke()

    def _interpreter(self, *, preserve: bool) -> Any:
        from tflite_micro.python.tflite_micro import runtime

        config = runtime.InterpreterConfig
        # Every tensor at once is the most that either mode can need, plus its own book-keeping.
        tensors = sum(t.bytes for t in self._graph.tensors if not t.is_constant)
        arena = self._ARENA_BYTES + 4 * tensors + 1024 * len(self._graph.tensors)
        try:
            return runtime.Interpreter.from_bytes(
                self._content,
                arena_size=arena,
                intrepreter_config=(
                    config.kPreserveAllTensors if preserve else config.kAllocationRecording
                ),
            )
        except RuntimeError as error:
            raise InputError(
                f"TFLite Micro refuses {self._graph.name}.tflite: {error}",
                "the model cannot be verified against it: --oracle reference",
            ) from error


class Reference:
    """The operators' own `reference()`, where TFLite Micro has no build for this machine."""

    name = f"reference {__version__}"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return reference.run(self._graph, inputs)

    def layers(self, inputs: Sequence[Array]) -> Mapping[int, Array]:
        return reference.run_layers(self._graph, inputs)


def open_oracle(graph: Graph, content: bytes, which: str = "auto") -> Oracle:
    """The oracle to verify against.

    Args:
        graph: The graph as loaded, before transforms.
        content: The `.tflite` file's bytes.
        which: "tflite-micro", "reference", or "auto" for the first that this machine has and that
            survives the model.

    Raises:
        InputError: There is no such oracle, or not here, or it refuses the model.
    """
    if which not in _NAMES:
        raise InputError(f"unknown oracle {which!r}", f"--oracle {' | '.join(_NAMES)}")
    available = importlib.util.find_spec("tflite_micro") is not None
    if which == "tflite-micro" and not available:
        raise InputError(
            "TFLite Micro's interpreter is not installed for this machine",
            "use --oracle reference, or Linux on x86-64",
        )
    if which == "reference" or not available or (which == "auto" and _crashes(graph)):
        return Reference(graph)
    return TfliteMicro(graph, content)


def _crashes(graph: Graph) -> str | None:
    """What TFLite Micro reads through a null pointer instead of refusing it."""
    for node in graph.nodes:
        inputs = graph.node_inputs(node)
        if node.op == "DEPTHWISE_CONV_2D" and len(inputs) > 2 and inputs[2] is None:
            return f"the bias of DEPTHWISE_CONV_2D, layer {node.index}, is -1 instead of left out"
    return None
