"""A `.tflite` file as objects that can be changed, and written again.

Tools that rewrite a model must bring every operator's options through unharmed, also of operators
that tinydeploy knows nothing else about. `tinydeploy.tflite.writer` writes the options of its own
operators only, and a flatbuffer cannot be copied without its schema (a field's bytes do not tell an
offset from a number). So this folder, and nothing behind it, uses the whole schema: the classes
that flatc generated, as ai-edge-litert ships them. What those do badly is put right here: buffers
outside the flatbuffer, operator codes of old files, and constants that are not 16-byte aligned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

from ..errors import InputError
from ..graph import Array
from ..tflite.flatbuffer import DAMAGED_HINT
from ..tflite.reader import check_header
from ..tflite.schema import (
    BUFFER_ALIGNMENT,
    CUSTOM,
    FILE_IDENTIFIER,
    LARGEST_DEPRECATED_CODE,
    OPERATOR_CODES,
    OPERATOR_NAMES,
    VERSION,
    TensorType,
)
from .frameworks import module

PTQ = "pip install 'tinydeploy[ptq]'"

# An offset of 0 or 1 is a placeholder by the schema.
_PLACEHOLDER = 1

NUMPY_TYPES: dict[int, np.dtype[Any]] = {
    TensorType.FLOAT32: np.dtype("<f4"),
    TensorType.FLOAT16: np.dtype("<f2"),
    TensorType.INT32: np.dtype("<i4"),
    TensorType.UINT8: np.dtype("u1"),
    TensorType.INT64: np.dtype("<i8"),
    TensorType.BOOL: np.dtype("?"),
    TensorType.INT16: np.dtype("<i2"),
    TensorType.INT8: np.dtype("i1"),
}


@cache
def need(name: str) -> Any:
    """A package of the extra `ptq`.

    Raises:
        RequestError: It is not installed; the hint is what to type.
    """
    return module(name, PTQ)


def schema() -> Any:
    """The generated classes of the `.tflite` schema."""
    return need("ai_edge_litert.schema_py_generated")


def read(content: bytes, label: str) -> Any:
    """The file as the schema's `ModelT`: constants inside, operator codes in one field.

    Args:
        content: The whole file.
        label: What errors call it.

    Raises:
        InputError: It is damaged.
    """
    check_header(content, label)
    generated = schema()
    try:
        model = generated.ModelT.InitFromPackedBuf(bytearray(content), 0)
        _bring_inside(model, content)
        for code in model.operatorCodes:
            code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        if model.subgraphs:
            _check_references(model)
    except Exception as error:  # the generated code meets damage with any error at all
        raise InputError(f"{label} is damaged: {error}", DAMAGED_HINT) from error
    if model.version != VERSION or not model.subgraphs:
        raise InputError(
            f"{label} has schema version {model.version} and {len(model.subgraphs or ())} "
            f"subgraphs, needs version {VERSION} and a subgraph",
            DAMAGED_HINT,
        )
    return model


def _bring_inside(model: Any, content: bytes) -> None:
    """Data that lie behind the flatbuffer become ordinary buffers and options."""
    for number, buffer in enumerate(model.buffers):
        if buffer.offset > _PLACEHOLDER:
            end = buffer.offset + buffer.size
            if end > len(content):
                raise ValueError(f"buffer {number} ends at byte {end} of {len(content)}")
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            start = operator.largeCustomOptionsOffset
            if start > _PLACEHOLDER:
                options = content[start : start + operator.largeCustomOptionsSize]
                operator.customOptions = np.frombuffer(options, np.uint8)
            operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0


def _check_references(model: Any) -> None:
    """Every number that stands for a tensor, a buffer or a code stands for one that is there."""
    subgraph = model.subgraphs[0]
    subgraph.tensors, subgraph.operators = subgraph.tensors or [], subgraph.operators or []
    _within([t.buffer for t in subgraph.tensors], len(model.buffers), "buffer")
    _within([m.buffer for m in model.metadata or ()], len(model.buffers), "buffer")
    _within([o.opcodeIndex for o in subgraph.operators], len(model.operatorCodes), "code")
    count = len(subgraph.tensors)
    for operator in subgraph.operators:
        _within(indices(operator.inputs), count, "tensor", lowest=-1)
        _within(indices(operator.intermediates), count, "tensor", lowest=-1)
        _within(indices(operator.outputs), count, "tensor")
    _within([*indices(subgraph.inputs), *indices(subgraph.outputs)], count, "tensor")
    for number, tensor in enumerate(subgraph.tensors):
        data = model.buffers[tensor.buffer].data
        dtype = NUMPY_TYPES.get(tensor.type)
        if dtype is None or data is None or not len(data):
            continue
        if len(data) != math.prod(shape_of(tensor)) * dtype.itemsize:
            raise ValueError(
                f"tensor {number} of shape {list(shape_of(tensor))} has {len(data)} bytes"
            )


def _within(numbers: Sequence[int], count: int, what: str, lowest: int = 0) -> None:
    for number in numbers:
        if not lowest <= number < count:
            raise ValueError(f"{what} {number} is used, there are {count}")


def write(model: Any) -> bytes:
    """The file of a `ModelT`: the same model gives the same bytes, constants 16-byte aligned."""
    for code in model.operatorCodes:
        code.deprecatedBuiltinCode = min(code.builtinCode, LARGEST_DEPRECATED_CODE)
    buffers = model.buffers
    builder: Any = flatbuffers.Builder(1024)
    try:
        model.buffers = [_Aligned(buffer.data) for buffer in buffers]
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    finally:
        model.buffers = buffers
    return bytes(builder.Output())


class _Aligned:
    """A buffer that packs itself where the schema wants it; the generated one does not."""

    def __init__(self, data: Any) -> None:
        self._data = b"" if data is None else np.asarray(data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> int:  # noqa: N802  (the generated code's name for it)
        generated = schema()
        position = 0
        if self._data:
            size = len(self._data)
            builder.StartVector(1, size, BUFFER_ALIGNMENT)
            builder.head = builder.Head() - size
            builder.Bytes[builder.Head() : builder.Head() + size] = self._data
            position = builder.EndVector()
        generated.BufferStart(builder)
        if position:
            generated.BufferAddData(builder, position)
        return int(generated.BufferEnd(builder))


# ---- What is often asked of a ModelT --------------------------------------------------------


def text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def operator_name(model: Any, operator: Any) -> str:
    """TFLite's name of an operator, or a custom one's own."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.builtinCode == CUSTOM:
        return text(code.customCode) or "CUSTOM"
    if 0 <= code.builtinCode < len(OPERATOR_NAMES):
        return str(OPERATOR_NAMES[code.builtinCode])
    return f"operator {code.builtinCode}"


def is_custom(model: Any, operator: Any) -> bool:
    return bool(model.operatorCodes[operator.opcodeIndex].builtinCode == CUSTOM)


def layer_label(model: Any, index: int) -> str:
    """What errors call the operator with that number: "layer 3 CONV_2D"."""
    return f"layer {index} {operator_name(model, model.subgraphs[0].operators[index])}"


def indices(values: Any) -> list[int]:
    """A list of tensor numbers; absent lists are empty."""
    return [] if values is None else [int(v) for v in values]


def shape_of(tensor: Any) -> tuple[int, ...]:
    return tuple(indices(tensor.shape))


def scales_of(tensor: Any) -> Array | None:
    """A tensor's scales; None where it has none."""
    table = tensor.quantization
    if table is None or table.scale is None or not len(table.scale):
        return None
    return np.asarray(table.scale, np.float32)


def constant(model: Any, tensor: Any) -> Array | None:
    """A tensor's data in its shape; None where it is computed."""
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data) or tensor.type not in NUMPY_TYPES:
        return None
    array: Array = np.asarray(data, np.uint8).view(NUMPY_TYPES[tensor.type])
    return array.reshape(shape_of(tensor))


def set_constant(model: Any, tensor: Any, data: Array) -> None:
    """Gives a tensor its own buffer with `data`, of whatever type; its quantisation goes."""
    generated = schema()
    types = {dtype: number for number, dtype in NUMPY_TYPES.items()}
    array = np.ascontiguousarray(data)
    tensor.type = int(types[array.dtype.newbyteorder("<")])
    tensor.shape = [int(d) for d in array.shape]
    tensor.quantization = None
    tensor.buffer = len(model.buffers)
    model.buffers.append(generated.BufferT(data=np.frombuffer(array.tobytes(), np.uint8)))


def add_code(model: Any, name: str, version: int = 1) -> int:
    """The number of a new operator code."""
    code = schema().OperatorCodeT(builtinCode=OPERATOR_CODES[name], version=version)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def drop_unused(model: Any, *, share: bool = True) -> None:
    """Drops tensors, buffers and operator codes that nothing refers to; one subgraph is left.

    Args:
        model: Changed in place.
        share: Equal constants share a buffer; otherwise every constant has its own.
    """
    subgraph = model.subgraphs[0]
    operators = subgraph.operators
    used: list[int] = [*indices(subgraph.inputs), *indices(subgraph.outputs)]
    for operator in operators:
        used += [*indices(operator.inputs), *indices(operator.outputs)]
        used += indices(operator.intermediates)
    kept = sorted({i for i in used if i >= 0})
    new = {old: position for position, old in enumerate(kept)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[i] for i in kept]
    subgraph.inputs = _renumber(subgraph.inputs, new)
    subgraph.outputs = _renumber(subgraph.outputs, new)
    for operator in operators:
        operator.inputs = _renumber(operator.inputs, new)
        operator.outputs = _renumber(operator.outputs, new)
        if operator.intermediates is not None:
            operator.intermediates = _renumber(operator.intermediates, new)
    for signature in model.signatureDefs or ():
        for end in (*(signature.inputs or ()), *(signature.outputs or ())):
            end.tensorIndex = new.get(int(end.tensorIndex), 0)
    model.subgraphs = [subgraph]
    _drop_codes(model, operators)
    _drop_buffers(model, subgraph.tensors, share)


def _renumber(values: Any, new: dict[int, int]) -> list[int]:
    return [new[i] for i in indices(values)]


def _drop_codes(model: Any, operators: Sequence[Any]) -> None:
    """Codes in the order of their first use, equal ones once."""
    codes: list[Any] = []
    known: dict[tuple[Any, ...], int] = {}
    for operator in operators:
        code = model.operatorCodes[operator.opcodeIndex]
        key = (code.builtinCode, code.customCode, code.version)
        if key not in known:
            known[key] = len(codes)
            codes.append(code)
        operator.opcodeIndex = known[key]
    model.operatorCodes = codes


def _drop_buffers(model: Any, tensors: Sequence[Any], share: bool) -> None:
    """Buffer 0 is empty by convention."""
    generated = schema()
    buffers: list[Any] = [generated.BufferT()]
    known: dict[bytes, int] = {}

    def keep(number: int) -> int:
        data = model.buffers[number].data
        if data is None or not len(data):
            return 0
        content = np.asarray(data, np.uint8).tobytes()
        if content not in known or not share:
            known[content] = len(buffers)
            buffers.append(model.buffers[number])
        return known[content]

    for tensor in tensors:
        tensor.buffer = keep(tensor.buffer)
    for entry in model.metadata or ():
        entry.buffer = keep(entry.buffer)
    model.metadataBuffer = None
    model.buffers = buffers
