"""A `.tflite` file -> `Graph`, with every bound checked: the file may hold anything."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np

from ..errors import InputError
from ..graph import DType, Graph, Node, Tensor
from ..ops import OPERATORS
from ..ops.base import OperatorView
from .flatbuffer import DAMAGED_HINT, Flatbuffer, Table, Tables
from .order import check_order
from .schema import (
    CUSTOM,
    FILE_IDENTIFIER,
    INPUT_COUNTS,
    OPERATOR_NAMES,
    OPTIONS_TYPES,
    VERSION,
    ModelSlot,
    OperatorCodeSlot,
    OperatorSlot,
    SignatureDefSlot,
    SubGraphSlot,
)
from .tensors import LARGEST_TENSOR_BYTES, TensorReader, float_hint, printable

LARGEST_FILE_BYTES = 256 << 20
# Far beyond what fits a microcontroller; planning takes time that grows faster than these.
_MOST_OPERATORS = 1 << 12
_MOST_TENSORS = 1 << 14

# What people hand over instead, by how it starts.
_FOREIGN = {
    b"\x89HDF": "a Keras .h5 file",
    b"PK\x03\x04": "a zip archive, such as a .keras file",
    b"\x1f\x8b": "compressed with gzip",
    b"version https://git-lfs": "a Git LFS pointer, not the file it points to",
    b"<": "a web page or XML",
}


def load(path: Path) -> Graph:
    """Reads a quantised `.tflite` file.

    Args:
        path: The file, at most 256 MiB.

    Raises:
        InputError: It cannot be read, is damaged, or needs what is not supported.
    """
    return _read(read_file(path), printable(path.name, 80)[1:-1], path.stem)


def read_file(path: Path) -> bytes:
    """The bytes of a file that may be a model: an ordinary file of at most 256 MiB.

    Raises:
        InputError: It is something else, or cannot be read.
    """
    label = printable(str(path), 200)[1:-1]
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{label} is a folder, not a .tflite file")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{label} is not a regular file")
        _check_size(status.st_size, label)
        with path.open("rb") as file:
            return file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{label} does not exist", f"ls {quote(str(path.parent))}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{label} cannot be read: {reason}") from None


def loads(content: bytes, name: str, file_name: str = "") -> Graph:
    """Reads the bytes of a quantised `.tflite` file.

    Args:
        content: The whole file.
        name: The graph's name: the file's, with or without ".tflite".
        file_name: What errors call the file; by default NAME.tflite.

    Raises:
        InputError: It is damaged, or needs what is not supported.
    """
    stem = name.removesuffix(".tflite")
    return _read(content, printable(file_name or f"{stem}.tflite", 80)[1:-1], stem)


def _check_size(size: int, label: str) -> None:
    if size > LARGEST_FILE_BYTES:
        raise InputError(
            f"{label} has {size} bytes, at most {LARGEST_FILE_BYTES} are read",
            "a model for a microcontroller has some megabytes at most",
        )


def _read(content: bytes, label: str, name: str) -> Graph:
    _check_size(len(content), label)
    check_header(content, label)
    model = Flatbuffer(content, label).root("the model")
    version = model.uint32(ModelSlot.VERSION)
    if version != VERSION:
        raise InputError(
            f"{label} has schema version {version}, supported is {VERSION}",
            "convert the model again with a current TensorFlow",
        )
    subgraph = main_subgraph(model, label)
    layers = _layers(model, subgraph, label)
    inputs = subgraph.int32_vector(SubGraphSlot.INPUTS)
    outputs = subgraph.int32_vector(SubGraphSlot.OUTPUTS)
    tensors = _tensors(model, subgraph, layers, (*inputs, *outputs), label)
    check_order(label, tensors, layers, inputs, outputs)
    _check_supported(label, tensors, layers)
    return Graph(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        tensors=tensors,
        nodes=tuple(_node(layer, tensors, label) for layer in layers),
        inputs=inputs,
        outputs=outputs,
    )


def check_header(content: bytes, label: str) -> None:
    if not content:
        raise InputError(f"{label} is empty", DAMAGED_HINT)
    for start, kind in _FOREIGN.items():
        if content.startswith(start):
            raise InputError(
                f"{label} is {kind}, not a .tflite file", "convert the model to .tflite first"
            )
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        found = printable(content[4:8].decode("ascii", "replace"))
        raise InputError(
            f"{label} is not a .tflite file: bytes 4 to 8 are {found}, not "
            f'"{FILE_IDENTIFIER.decode()}"',
            DAMAGED_HINT,
        )


def main_subgraph(model: Table, label: str) -> Table:
    subgraphs = model.tables(ModelSlot.SUBGRAPHS, "subgraph")
    if not len(subgraphs):
        raise InputError(f"{label} has no subgraph", DAMAGED_HINT)
    # Subgraphs that no signature names could only be called by operators, none of which is
    # supported.
    signatures = model.tables(ModelSlot.SIGNATURE_DEFS, "signature")
    for i in range(len(signatures) if len(subgraphs) > 1 else 0):
        if signatures[i].uint32(SignatureDefSlot.SUBGRAPH_INDEX):
            what = "the name of a subgraph"
            shown = range(min(len(subgraphs), 4))
            names = (printable(subgraphs[j].string(SubGraphSlot.NAME, what)) for j in shown)
            raise InputError(
                f"{label} has {len(subgraphs)} subgraphs ({', '.join(names)}), supported is one",
                "convert the model with one signature",
            )
    return subgraphs[0]


@dataclass(frozen=True, eq=False)
class Layer:
    """An operator as the file has it, before its tensors are known."""

    index: int
    op: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table

    def __str__(self) -> str:
        return f"layer {self.index} {self.op}"


def _layers(model: Table, subgraph: Table, label: str) -> tuple[Layer, ...]:
    operators = subgraph.tables(SubGraphSlot.OPERATORS, "operator")
    codes = model.tables(ModelSlot.OPERATOR_CODES, "operator code")
    if not len(operators):
        raise InputError(f"{label} has no operators: there is nothing to compute")
    if len(operators) > _MOST_OPERATORS:
        raise InputError(
            f"{label} has {len(operators)} operators, at most {_MOST_OPERATORS} are read"
        )
    return tuple(_layer(operators[i], i, codes) for i in range(len(operators)))


def _layer(table: Table, index: int, codes: Tables) -> Layer:
    op, custom = operator_name(table, codes)
    return Layer(
        index=index,
        op=op,
        custom=custom,
        inputs=table.int32_vector(OperatorSlot.INPUTS),
        outputs=table.int32_vector(OperatorSlot.OUTPUTS),
        options=_options(table, index, op),
    )


def operator_name(table: Table, codes: Tables) -> tuple[str, bool]:
    """TFLite's name of an operator, and whether it is a custom one: then the name is quoted."""
    number = table.uint32(OperatorSlot.OPCODE_INDEX)
    if number >= len(codes):
        table.fail(f"{table.what} has operator code {number} of {len(codes)}")
    code = codes[number]
    # Old files have only the byte-wide field, new ones both; the larger one counts.
    builtin = max(
        code.int32(OperatorCodeSlot.BUILTIN_CODE),
        code.int8(OperatorCodeSlot.DEPRECATED_BUILTIN_CODE),
    )
    if not 0 <= builtin < len(OPERATOR_NAMES):
        table.fail(f"{table.what} is number {builtin} of {len(OPERATOR_NAMES)} known operators")
    if builtin != CUSTOM:
        return OPERATOR_NAMES[builtin], False
    return printable(code.string(OperatorCodeSlot.CUSTOM_CODE, "the name of an operator")), True


def _options(table: Table, index: int, op: str) -> Table:
    stored = table.uint8(OperatorSlot.BUILTIN_OPTIONS_TYPE)
    expected = OPTIONS_TYPES.get(op, 0)
    what = f"the options of layer {index} {op}"
    empty = table.without_fields(what)
    if not stored or not expected:
        return empty
    if stored != expected:
        table.fail(f"{what} are of kind {stored}, its own are {expected}")
    return table.table(OperatorSlot.BUILTIN_OPTIONS, what) or empty


def _tensors(
    model: Table,
    subgraph: Table,
    layers: Sequence[Layer],
    ends: Sequence[int],
    label: str,
) -> tuple[Tensor, ...]:
    """All tensors; those that nothing refers to are not looked at, and stand as empty ones."""
    tables = subgraph.tables(SubGraphSlot.TENSORS, "tensor")
    if len(tables) > _MOST_TENSORS:
        raise InputError(f"{label} has {len(tables)} tensors, at most {_MOST_TENSORS} are read")
    used = set(ends)
    for layer in layers:
        used.update(layer.outputs)
        used.update(i for i in layer.inputs if i != -1)
    for index in used:
        if not 0 <= index < len(tables):
            model.fail(f"tensor {index} is used, there are {len(tables)}")
    reader = TensorReader(label, tables, model.tables(ModelSlot.BUFFERS, "buffer"))
    tensors = tuple(
        reader.read(i) if i in used else Tensor(i, "", (0,), DType.INT8) for i in range(len(tables))
    )
    constants = sum(t.bytes for t in tensors if t.is_constant)
    if constants > LARGEST_FILE_BYTES:
        raise InputError(
            f"{label} has {constants} bytes of constants, at most {LARGEST_FILE_BYTES}"
        )
    activations = sum(t.bytes for t in tensors if not t.is_constant)
    if activations > LARGEST_TENSOR_BYTES:
        raise InputError(
            f"{label} computes tensors of {activations} bytes in all, at most "
            f"{LARGEST_TENSOR_BYTES}"
        )
    return tensors


def _check_supported(label: str, tensors: Sequence[Tensor], layers: Sequence[Layer]) -> None:
    """Refuses float models and unsupported operators, before any operator is parsed."""
    for layer in layers:
        if layer.op in ("QUANTIZE", "DEQUANTIZE"):
            continue
        used = [tensors[i] for i in (*layer.inputs, *layer.outputs) if i != -1]
        if any(t.dtype is DType.FLOAT32 and not t.is_constant for t in used):
            _refuse_float(label, tensors, layer)
    unknown = [layer for layer in layers if layer.op not in OPERATORS]
    if not unknown:
        return
    first, others = unknown[0], dict.fromkeys(layer.op for layer in unknown)
    kind = ", a custom operator," if first.custom else ""
    also = ", ".join(op for op in others if op != first.op)
    raise InputError(
        f"{label}: {first}{kind} is not supported" + (f", nor are {also}" if also else ""),
        f"supported operators: {', '.join(sorted(OPERATORS))}",
    )


def _refuse_float(label: str, tensors: Sequence[Tensor], layer: Layer) -> None:
    integer = (DType.INT8, DType.UINT8, DType.INT16)
    quantized = [t for t in tensors if t.dtype in integer and t.quantization is not None]
    hint = float_hint(label)
    if any(not t.is_constant for t in quantized):
        kind = "is only partly quantised"
        hint = "quantise all of the float model that it was made from: tinydeploy quantize --help"
    elif quantized:
        kind = "is a float model with quantised weights"
    else:
        kind = "is a float model"
    raise InputError(f"{label} {kind}: {layer} computes in float32", hint)


def _node(layer: Layer, tensors: Sequence[Tensor], label: str) -> Node:
    fewest, most = INPUT_COUNTS.get(layer.op, (1, len(layer.inputs)))
    if not fewest <= len(layer.inputs) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise InputError(f"{label}: {layer} has {len(layer.inputs)} inputs, it takes {wanted}")
    view = OperatorView(
        index=layer.index,
        name=layer.op,
        inputs=tuple(None if i == -1 else tensors[i] for i in layer.inputs),
        outputs=tuple(tensors[i] for i in layer.outputs),
        options=layer.options,
    )
    try:
        # Absurd scales overflow float32; what they make is refused, and nobody needs a warning.
        with np.errstate(all="ignore"):
            params = OPERATORS[layer.op].parse(view)
    except InputError as error:
        where = "" if error.message.startswith(("layer ", label)) else f"{layer}: "
        prefix = "" if error.message.startswith(label) else f"{label}: "
        raise InputError(f"{prefix}{where}{error.message}", error.hint) from None
    return Node(layer.index, layer.op, layer.inputs, layer.outputs, params, layer.options)
