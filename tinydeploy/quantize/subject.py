"""A model that is evaluated: what it takes and gives, and what computes it on this machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, RequestError
from ..graph import Array, Graph, Tensor
from ..oracle import Oracle, check_survives, open_oracle
from ..oracle import interpreter as open_interpreter
from ..report.report import Tool
from ..tflite.flatbuffer import Flatbuffer, Tables
from ..tflite.reader import check_header, loads, main_subgraph, operator_name, read_file
from ..tflite.schema import ModelSlot, OperatorSlot, SubGraphSlot, TensorSlot, TensorType
from .modelfile import need

_ARENA_BYTES = 64 << 20
_INTEGERS = {TensorType.INT8: "int8", TensorType.UINT8: "uint8", TensorType.INT16: "int16"}
_SMALL_WEIGHTS = {
    TensorType.INT8: "int8",
    TensorType.INT4: "int4",
    TensorType.FLOAT16: "float16",
    TensorType.INT2: "int2",
}


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        shape: Batch dimension included.
        scale, zero_point: real = scale * (stored - zero_point); a scale of 0 where it is float.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def holds(self) -> tuple[float, float] | None:
        """The real numbers at its ends; None where it is float."""
        if not self.scale:
            return None
        limits = np.iinfo(self.dtype)
        low, high = (self.scale * (int(end) - self.zero_point) for end in (limits.min, limits.max))
        return low, high

    def stored(self, value: Array) -> Array:
        """Real numbers as a device is fed them; what has the port's own type is taken as it is.

        Rounds half away from zero in float32, as TFLite's QUANTIZE does.
        """
        if value.dtype == self.dtype:
            return np.ascontiguousarray(value)
        if not self.scale:
            return np.ascontiguousarray(value, self.dtype)
        limits = np.iinfo(self.dtype)
        with np.errstate(over="ignore"):  # what is beyond float32 is beyond the type's end, too
            steps = (value.astype(np.float32) / np.float32(self.scale)).astype(np.float64)
        rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + self.zero_point
        return np.ascontiguousarray(np.clip(rounded, limits.min, limits.max), self.dtype)

    def real(self, value: Array) -> Array:
        """Stored numbers as float64."""
        if not self.scale:
            return value.astype(np.float64)
        return (value.astype(np.float64) - self.zero_point) * self.scale


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and its engine.

    Attributes:
        numbers: What its operators compute in, such as "int8".
        graph: None for what only runs on this machine, such as float models.
        oracle: None likewise.
        engine: What `run` is computed by.
        run: Stored inputs to stored outputs, each of its port's shape and dtype.
    """

    path: Path
    content: bytes
    numbers: str
    graph: Graph | None
    oracle: Oracle | None
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    engine: Tool
    run: Callable[[Sequence[Array]], tuple[Array, ...]]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def open_subject(path: Path, engine: str = "auto") -> Subject:
    """A model, ready to be run.

    Args:
        path: A `.tflite` file, quantised or float.
        engine: "auto" for the oracle where the model is quantised and LiteRT where it is float,
            or "litert" for LiteRT in any case.

    Raises:
        InputError: The file was rejected.
        RequestError: What would run it is not installed.
    """
    content = read_file(path)
    numbers = computes_in(content, path.name)
    if engine == "litert":
        return _litert(path, content, numbers)
    if numbers.startswith("float32"):
        # TFLite Micro has no kernels for float activations with small weights.
        if numbers != "float32" or importlib.util.find_spec("ai_edge_litert") is not None:
            return _litert(path, content, numbers)
        return _tflite_micro(path, content, numbers)
    graph = loads(content, path.stem)
    oracle = open_oracle(graph, content)
    name, _, version = oracle.name.partition(" ")
    return Subject(
        path=path,
        content=content,
        numbers=numbers,
        graph=graph,
        oracle=oracle,
        inputs=tuple(port_of(graph.tensors[t]) for t in graph.inputs),
        outputs=tuple(port_of(graph.tensors[t]) for t in graph.outputs),
        engine=Tool(name, version),
        run=oracle.run,
    )


def computes_in(content: bytes, label: str) -> str:
    """What a model's operators compute in: "int8", "int8 and int16", "float32",
    "float32, weights int8".

    Raises:
        InputError: The file is damaged.
    """
    tensors, operators = _opened(content, label)
    ends = ("QUANTIZE", "DEQUANTIZE")
    results = {t for name, _, outputs in operators if name not in ends for t in outputs}
    read = {t for _, inputs, _ in operators for t in inputs}

    def types(indices: set[int]) -> set[int]:
        return {tensors[t].uint8(TensorSlot.TYPE) for t in indices if 0 <= t < len(tensors)}

    found = [name for kind, name in _INTEGERS.items() if kind in types(results)]
    if found:
        return " and ".join(found)
    small = [name for kind, name in _SMALL_WEIGHTS.items() if kind in types(read)]
    return "float32" + (f", weights {small[0]}" if small else "")


def computed(content: bytes, label: str) -> frozenset[int]:
    """Indices of the tensors that operators write."""
    _, operators = _opened(content, label)
    return frozenset(t for _, _, outputs in operators for t in outputs)


_Operator = tuple[str, tuple[int, ...], tuple[int, ...]]  # name, inputs, outputs


def _opened(content: bytes, label: str) -> tuple[Tables, list[_Operator]]:
    """The tensors and operators of any model, also of one that no engine here could run."""
    check_header(content, label)
    model = Flatbuffer(content, label).root("the model")
    subgraph = main_subgraph(model, label)
    codes = model.tables(ModelSlot.OPERATOR_CODES, "operator code")
    operators = subgraph.tables(SubGraphSlot.OPERATORS, "operator")
    found = []
    for i in range(len(operators)):
        name, _ = operator_name(operators[i], codes)
        inputs = operators[i].int32_vector(OperatorSlot.INPUTS)
        found.append((name, inputs, operators[i].int32_vector(OperatorSlot.OUTPUTS)))
    return subgraph.tables(SubGraphSlot.TENSORS, "tensor"), found


def port_of(tensor: Tensor) -> Port:
    quantization = tensor.quantization
    if quantization is None or not quantization.scales:
        return Port(tensor.name, tensor.shape, tensor.dtype.numpy)
    scale, zero = quantization.scales[0], quantization.zero_points[0]
    return Port(tensor.name, tensor.shape, tensor.dtype.numpy, scale, zero)


@contextmanager
def litert_refusals(label: str) -> Iterator[None]:
    """Turns what LiteRT raises of a damaged model, opened or run, into an `InputError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"LiteRT cannot run {label}: {reason:.200}") from error


def _litert(path: Path, content: bytes, numbers: str) -> Subject:
    litert = need("ai_edge_litert.interpreter")
    with litert_refusals(str(path)):
        interpreter = litert.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def run(values: Sequence[Array]) -> tuple[Array, ...]:
        with litert_refusals(str(path)):
            for detail, value in zip(inputs, values, strict=True):
                interpreter.set_tensor(detail["index"], value)
            interpreter.invoke()
            return tuple(interpreter.get_tensor(detail["index"]) for detail in outputs)

    return Subject(
        path=path,
        content=content,
        numbers=numbers,
        graph=None,
        oracle=None,
        inputs=tuple(map(_detailed, inputs)),
        outputs=tuple(map(_detailed, outputs)),
        engine=Tool("LiteRT", importlib.metadata.version("ai-edge-litert")),
        run=run,
    )


def _tflite_micro(path: Path, content: bytes, numbers: str) -> Subject:
    """A float model in TFLite Micro: slower than LiteRT, and everybody who deploys has it."""
    hint = "pip install 'tinydeploy[ptq]'"
    if importlib.util.find_spec("tflite_micro") is None:
        raise RequestError("float models are run by LiteRT, which is not installed", hint)
    try:
        check_survives((name, inputs) for name, inputs, _ in _opened(content, path.name)[1])
        interpreter = open_interpreter(content, path.name, _ARENA_BYTES)
    except InputError as error:
        raise InputError(error.message, f"LiteRT may run it: {hint}") from error
    subgraph = main_subgraph(Flatbuffer(content, path.name).root("the model"), path.name)
    counts = [len(subgraph.int32_vector(s)) for s in (SubGraphSlot.INPUTS, SubGraphSlot.OUTPUTS)]
    inputs = [interpreter.get_input_details(i) for i in range(counts[0])]
    outputs = [interpreter.get_output_details(i) for i in range(counts[1])]

    def run(values: Sequence[Array]) -> tuple[Array, ...]:
        for i, value in enumerate(values):
            interpreter.set_input(value, i)
        interpreter.invoke()
        return tuple(interpreter.get_output(i) for i in range(len(outputs)))

    return Subject(
        path=path,
        content=content,
        numbers=numbers,
        graph=None,
        oracle=None,
        inputs=tuple(_detailed({"name": f"input_{i}", **d}) for i, d in enumerate(inputs)),
        outputs=tuple(_detailed({"name": f"output_{i}", **d}) for i, d in enumerate(outputs)),
        engine=Tool("tflite-micro", importlib.metadata.version("tflite-micro")),
        run=run,
    )


def _detailed(detail: Any) -> Port:
    parameters = detail["quantization_parameters"]
    scales, zeros = np.asarray(parameters["scales"]), np.asarray(parameters["zero_points"])
    dtype = np.dtype(detail["dtype"])
    shape = tuple(int(d) for d in detail["shape"])
    name = str(detail["name"])
    if not scales.size or not scales[0]:
        return Port(name, shape, dtype)
    return Port(name, shape, dtype, float(scales[0]), int(zeros[0]))
