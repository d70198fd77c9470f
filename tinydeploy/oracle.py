"""What the device has to answer: TFLite Micro's own interpreter, or our NumPy reference."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
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
        check_survives(_operators(graph))
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
        # Every tensor at once is the most that either mode can need, plus its own book-keeping.
        tensors = sum(t.bytes for t in self._graph.tensors if not t.is_constant)
        arena = self._ARENA_BYTES + 4 * tensors + 1024 * len(self._graph.tensors)
        return interpreter(self._content, f"{self._graph.name}.tflite", arena, preserve=preserve)


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
    crashes = which == "auto" and _crash(_operators(graph))
    if which == "reference" or not available or crashes:
        return Reference(graph)
    return TfliteMicro(graph, content)


def interpreter(content: bytes, label: str, arena_bytes: int, *, preserve: bool = False) -> Any:
    """TFLite Micro's interpreter with a model in it, which `check_survives()`.

    Args:
        content: The `.tflite` file's bytes.
        label: What errors call it.
        arena_bytes: What it may take for tensors.
        preserve: Every tensor keeps its memory, to be looked at after a run.

    Raises:
        InputError: It refuses the model.
    """
    from tflite_micro.python.tflite_micro import runtime

    config = runtime.InterpreterConfig
    how = config.kPreserveAllTensors if preserve else config.kAllocationRecording
    try:
        return runtime.Interpreter.from_bytes(
            content, arena_size=arena_bytes, intrepreter_config=how
        )
    except Exception as error:  # its Python part meets damage with any error at all
        reason = " ".join(str(error).split())
        raise InputError(
            f"TFLite Micro refuses {label}: {reason:.200}",
            "the model cannot be verified against it: --oracle reference",
        ) from error


def check_survives(operators: Iterable[tuple[str, Sequence[int]]]) -> None:
    """Refuses what would end this process: TFLite Micro's interpreter checks less than it reads.

    Args:
        operators: Name and inputs of each, -1 for an input that is absent.

    Raises:
        InputError: The interpreter would crash.
    """
    if crash := _crash(operators):
        raise InputError(
            f"TFLite Micro's interpreter would crash: {crash}", "use --oracle reference"
        )


def _operators(graph: Graph) -> Iterable[tuple[str, Sequence[int]]]:
    return ((node.op, node.inputs) for node in graph.nodes)


def _crash(operators: Iterable[tuple[str, Sequence[int]]]) -> str | None:
    """What TFLite Micro reads through a null pointer instead of refusing it."""
    for index, (name, inputs) in enumerate(operators):
        if name == "DEPTHWISE_CONV_2D" and len(inputs) > 2 and inputs[2] < 0:
            return f"the bias of DEPTHWISE_CONV_2D, layer {index}, is -1 instead of left out"
    return None
