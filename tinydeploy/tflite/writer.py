"""Writes `.tflite` files from plain data: the same model always gives the same bytes.

    content = single_operator(
        "CONV_2D",
        inputs=[
            Tensor((1, 8, 8, 3), scales=(0.5,), zero_points=(-3,)),
            constant(weights, scales=(0.1, 0.2), axis=0),
            None,
        ],
        outputs=[Tensor((1, 8, 8, 2), scales=(0.7,), zero_points=(1,))],
        options={Conv2DOptions.STRIDE_W: int32(1), Conv2DOptions.STRIDE_H: int32(1)},
    )

It checks nothing that a file may get wrong: tests write damaged models with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

from ..graph import Array
from .schema import (
    BUFFER_ALIGNMENT,
    CUSTOM,
    FILE_IDENTIFIER,
    LARGEST_DEPRECATED_CODE,
    OPERATOR_CODES,
    OPTIONS_TYPES,
    VERSION,
    BufferSlot,
    Kind,
    ModelSlot,
    OperatorCodeSlot,
    OperatorSlot,
    QuantizationSlot,
    SubGraphSlot,
    TensorSlot,
    TensorType,
)

_TYPE_OF = {
    np.dtype("float32"): TensorType.FLOAT32,
    np.dtype("float16"): TensorType.FLOAT16,
    np.dtype("int32"): TensorType.INT32,
    np.dtype("uint8"): TensorType.UINT8,
    np.dtype("int64"): TensorType.INT64,
    np.dtype("bool"): TensorType.BOOL,
    np.dtype("int16"): TensorType.INT16,
    np.dtype("int8"): TensorType.INT8,
    np.dtype("float64"): TensorType.FLOAT64,
}


@dataclass(frozen=True)
class Option:
    """A field of an options table: made by `boolean`, `int8`, `int32`, `float32`, …"""

    kind: Kind
    value: bool | int | float | tuple[int, ...]


def boolean(value: bool) -> Option:
    return Option(Kind.BOOLEAN, value)


def int8(value: int) -> Option:
    return Option(Kind.INT8, value)


def int32(value: int) -> Option:
    return Option(Kind.INT32, value)


def float32(value: float) -> Option:
    return Option(Kind.FLOAT32, value)


def int32_vector(values: Sequence[int]) -> Option:
    return Option(Kind.INT32_VECTOR, tuple(values))


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as the file has it.

    Attributes:
        shape: Its static dimensions.
        type: Its element type.
        scales, zero_points, axis: Its quantisation; no scales, no quantisation table. Empty
            zero points are as many zeros, None leaves the vector out.
        data: A constant's bytes, an array of any shape (only its bytes are written) or bytes;
            None for a runtime tensor.
        name: Any text.
        shape_signature: The shape with -1 for dimensions unknown at conversion; None leaves
            it out.
        is_variable: Whether it keeps its value between inferences.
        outside: (offset, size) in bytes of data that lie behind the flatbuffer, instead of `data`.
    """

    shape: tuple[int, ...]
    type: int = TensorType.INT8
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] | None = ()
    axis: int = 0
    data: Array | bytes | None = field(default=None, repr=False)
    name: str = ""
    shape_signature: tuple[int, ...] | None = None
    is_variable: bool = False
    outside: tuple[int, int] | None = None


def constant(
    data: Array,
    scales: Sequence[float] = (),
    zero_points: Sequence[int] = (),
    axis: int = 0,
    name: str = "",
) -> Tensor:
    """A constant tensor with the array's shape and dtype."""
    return Tensor(
        shape=data.shape,
        type=_TYPE_OF[data.dtype],
        scales=tuple(scales),
        zero_points=tuple(zero_points),
        axis=axis,
        data=data,
        name=name,
    )


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator of the model.

    Attributes:
        op: TFLite's name of it, or the code of a custom operator.
        inputs: Tensor indices, -1 for an optional one that is absent.
        outputs: Tensor indices.
        options: Slot -> value of its builtin options; slots left out read as their default.
        options_type: The number of the options' table; None takes the operator's own.
        version: The operator's version, which only other interpreters read.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[int, Option] = field(default_factory=dict)
    options_type: int | None = None
    version: int = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A model with one subgraph."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str = ""


def single_operator(
    op: str,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    options: Mapping[int, Option] | None = None,
    version: int = 1,
) -> bytes:
    """A model of one operator.

    Args:
        op: TFLite's name of it.
        inputs: In TFLite's order; None for an optional one that is absent. Those without data
            become the model's inputs, and the same object twice is one tensor.
        outputs: The model's outputs.
        options: Slot -> value of its builtin options.
        version: The operator's version.
    """
    tensors: list[Tensor] = []
    for tensor in (*inputs, *outputs):
        if tensor is not None and not any(tensor is known for known in tensors):
            tensors.append(tensor)
    index = {id(tensor): i for i, tensor in enumerate(tensors)}
    operands = tuple(-1 if t is None else index[id(t)] for t in inputs)
    results = tuple(index[id(t)] for t in outputs)
    runtime = dict.fromkeys(i for i in operands if i >= 0 and tensors[i].data is None)
    operator = Operator(op, operands, results, options or {}, version=version)
    return write(Model(tuple(tensors), (operator,), tuple(runtime), results))


def write(model: Model) -> bytes:
    """The model as a `.tflite` file."""
    return _Writer(model).write()


# ---- The flatbuffer -------------------------------------------------------------------------


# Slot -> what adds the field to the table that is being built.
_Fields = dict[int, Callable[[int], None]]


class _Writer:
    """Builds the file from the leaves up, as flatbuffers need it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.builder: Any = flatbuffers.Builder(1024)
        # Buffer 0 is empty by convention: the buffer of every runtime tensor.
        self.blobs: list[bytes | tuple[int, int] | None] = [None]
        self.codes: list[tuple[int, str, int]] = []

    def write(self) -> bytes:
        model = self.model
        tensors = self.table_vector([self.tensor(t) for t in model.tensors])
        operators = self.table_vector([self.operator(o) for o in model.operators])
        subgraph = self.table(
            {
                SubGraphSlot.TENSORS: self.offset(tensors),
                SubGraphSlot.INPUTS: self.offset(self.vector(model.inputs, "<i4")),
                SubGraphSlot.OUTPUTS: self.offset(self.vector(model.outputs, "<i4")),
                SubGraphSlot.OPERATORS: self.offset(operators),
            }
        )
        subgraphs = self.table_vector([subgraph])
        codes = self.table_vector([self.operator_code(*c) for c in self.codes])
        buffers = self.table_vector([self.buffer(b) for b in self.blobs])
        description = self.builder.CreateString(model.description)
        root = self.table(
            {
                ModelSlot.VERSION: self.scalar("Uint32", VERSION),
                ModelSlot.OPERATOR_CODES: self.offset(codes),
                ModelSlot.SUBGRAPHS: self.offset(subgraphs),
                ModelSlot.DESCRIPTION: self.offset(description),
                ModelSlot.BUFFERS: self.offset(buffers),
            }
        )
        self.builder.Finish(root, FILE_IDENTIFIER)
        return bytes(self.builder.Output())

    def tensor(self, tensor: Tensor) -> int:
        buffer = 0
        content = tensor.outside if tensor.data is None else _little_endian(tensor.data)
        if content is not None:
            buffer = len(self.blobs)
            self.blobs.append(content)
        fields: _Fields = {
            TensorSlot.SHAPE: self.offset(self.vector(tensor.shape, "<i4")),
            TensorSlot.TYPE: self.scalar("Int8", tensor.type),
            TensorSlot.BUFFER: self.scalar("Uint32", buffer),
            TensorSlot.NAME: self.offset(self.builder.CreateString(tensor.name)),
        }
        if tensor.scales:
            fields[TensorSlot.QUANTIZATION] = self.offset(self.quantization(tensor))
        if tensor.is_variable:
            fields[TensorSlot.IS_VARIABLE] = self.scalar("Bool", True)
        if tensor.shape_signature is not None:
            signature = self.vector(tensor.shape_signature, "<i4")
            fields[TensorSlot.SHAPE_SIGNATURE] = self.offset(signature)
        if not tensor.shape:
            fields[TensorSlot.HAS_RANK] = self.scalar("Bool", True)
        return self.table(fields)

    def quantization(self, tensor: Tensor) -> int:
        scales = self.vector(tensor.scales, "<f4")
        fields: _Fields = {QuantizationSlot.SCALE: self.offset(scales)}
        if tensor.zero_points is not None:
            zero_points = tensor.zero_points or (0,) * len(tensor.scales)
            vector = self.vector(zero_points, "<i8")
            fields[QuantizationSlot.ZERO_POINT] = self.offset(vector)
        if tensor.axis:
            fields[QuantizationSlot.QUANTIZED_DIMENSION] = self.scalar("Int32", tensor.axis)
        return self.table(fields)

    def operator(self, operator: Operator) -> int:
        builtin = OPERATOR_CODES.get(operator.op, CUSTOM)
        code = (builtin, operator.op if builtin == CUSTOM else "", operator.version)
        if code not in self.codes:
            self.codes.append(code)
        fields: _Fields = {
            OperatorSlot.OPCODE_INDEX: self.scalar("Uint32", self.codes.index(code)),
            OperatorSlot.INPUTS: self.offset(self.vector(operator.inputs, "<i4")),
            OperatorSlot.OUTPUTS: self.offset(self.vector(operator.outputs, "<i4")),
        }
        options_type = operator.options_type
        if options_type is None:
            options_type = OPTIONS_TYPES.get(operator.op, 0)
        if options_type:
            options: _Fields = {s: self.option(o) for s, o in operator.options.items()}
            fields[OperatorSlot.BUILTIN_OPTIONS_TYPE] = self.scalar("Uint8", options_type)
            fields[OperatorSlot.BUILTIN_OPTIONS] = self.offset(self.table(options))
        return self.table(fields)

    def operator_code(self, code: int, custom: str, version: int) -> int:
        deprecated = min(code, LARGEST_DEPRECATED_CODE)
        fields: _Fields = {
            OperatorCodeSlot.DEPRECATED_BUILTIN_CODE: self.scalar("Int8", deprecated),
            OperatorCodeSlot.VERSION: self.scalar("Int32", version),
            OperatorCodeSlot.BUILTIN_CODE: self.scalar("Int32", code),
        }
        if custom:
            name = self.builder.CreateString(custom)
            fields[OperatorCodeSlot.CUSTOM_CODE] = self.offset(name)
        return self.table(fields)

    def buffer(self, blob: bytes | tuple[int, int] | None) -> int:
        if blob is None:
            return self.table({})
        if isinstance(blob, tuple):
            offset, size = blob
            outside: _Fields = {
                BufferSlot.OFFSET: self.scalar("Uint64", offset),
                BufferSlot.SIZE: self.scalar("Uint64", size),
            }
            return self.table(outside)
        return self.table({BufferSlot.DATA: self.offset(self.aligned(blob))})

    def option(self, option: Option) -> Callable[[int], None]:
        if option.kind is Kind.INT32_VECTOR:
            assert isinstance(option.value, tuple)
            return self.offset(self.vector(option.value, "<i4"))
        name = {Kind.BOOLEAN: "Bool", Kind.INT8: "Int8", Kind.INT32: "Int32"}
        return self.scalar(name.get(option.kind, "Float32"), option.value)

    # What follows knows the flatbuffer format and nothing of models.

    def table(self, fields: _Fields) -> int:
        self.builder.StartObject(max(fields, default=-1) + 1)
        for slot, add in fields.items():
            add(slot)
        return int(self.builder.EndObject())

    def scalar(self, kind: str, value: Any) -> Callable[[int], None]:
        """Adds the field even where it equals its default: what is asked for stands there."""

        def add(slot: int) -> None:
            getattr(self.builder, f"Prepend{kind}")(value)
            self.builder.Slot(slot)

        return add

    def offset(self, position: int) -> Callable[[int], None]:
        return lambda slot: self.builder.PrependUOffsetTRelativeSlot(slot, position, 0)

    def vector(self, values: Sequence[int] | Sequence[float], dtype: str) -> int:
        array = np.asarray(values, dtype=dtype)
        return self.raw_vector(array.tobytes(), array.dtype.itemsize, array.dtype.itemsize)

    def aligned(self, blob: bytes) -> int:
        return self.raw_vector(blob, 1, BUFFER_ALIGNMENT)

    def raw_vector(self, content: bytes, element_bytes: int, alignment: int) -> int:
        builder = self.builder
        builder.StartVector(element_bytes, len(content) // element_bytes, alignment)
        builder.head = builder.Head() - len(content)
        builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
        return int(builder.EndVector())

    def table_vector(self, tables: Sequence[int]) -> int:
        self.builder.StartVector(4, len(tables), 4)
        for position in reversed(tables):
            self.builder.PrependUOffsetTRelative(position)
        return int(self.builder.EndVector())


def _little_endian(data: Array | bytes) -> bytes:
    if isinstance(data, bytes):
        return data
    return data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
