"""A tensor of a `.tflite` file -> `graph.Tensor`, with everything checked."""

from __future__ import annotations

import math
from shlex import quote
from typing import NoReturn

from ..errors import InputError
from ..graph import Array, DType, Quantization, Tensor
from .flatbuffer import Table, Tables
from .schema import BufferSlot, QuantizationSlot, TensorSlot, TensorType

LARGEST_TENSOR_BYTES = 1 << 30
_LARGEST_RANK = 8

_DTYPES = {
    TensorType.FLOAT32: DType.FLOAT32,
    TensorType.INT32: DType.INT32,
    TensorType.UINT8: DType.UINT8,
    TensorType.INT64: DType.INT64,
    TensorType.BOOL: DType.BOOL,
    TensorType.INT16: DType.INT16,
    TensorType.INT8: DType.INT8,
}
_OTHER_FLOATS = (TensorType.FLOAT16, TensorType.FLOAT64, TensorType.BFLOAT16)

# The stored range of the types that can be quantised; scales of other types mean nothing.
_RANGES = {
    DType.INT8: (-(1 << 7), (1 << 7) - 1),
    DType.UINT8: (0, (1 << 8) - 1),
    DType.INT16: (-(1 << 15), (1 << 15) - 1),
    DType.INT32: (-(1 << 31), (1 << 31) - 1),
    DType.INT64: (-(1 << 63), (1 << 63) - 1),
}


def float_hint(label: str) -> str:
    """What to do with the float model of that name."""
    return f"quantise it first: tinydeploy quantize {quote(label)} --data CALIBRATION.npz"


def printable(text: str, longest: int = 40) -> str:
    """Text of a file as one short line of an error, in quotes."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: longest + 1])
    return f'"{shown}"' if len(shown) <= longest else f'"{shown[: longest - 1]}…"'


class TensorReader:
    """Reads the tensors of one file.

    Args:
        label: What errors call the file.
        tensors: The subgraph's tensors.
        buffers: The model's buffers.
    """

    def __init__(self, label: str, tensors: Tables, buffers: Tables) -> None:
        self._label = label
        self._tensors = tensors
        self._buffers = buffers

    def read(self, index: int) -> Tensor:
        """The tensor with that number.

        Raises:
            InputError: It is damaged, or of a kind that is not supported.
        """
        table = self._tensors[index]
        name = table.string(TensorSlot.NAME, f"the name of tensor {index}")
        if table.boolean(TensorSlot.IS_VARIABLE):
            self._refuse(
                index,
                name,
                "is a variable, which keeps its value between inferences; that is not supported",
                "convert the model without state: the caller keeps it, as an input and an output",
            )
        if table.present(TensorSlot.SPARSITY):
            self._refuse(
                index, name, "is sparse", "convert the model without EXPERIMENTAL_SPARSITY"
            )
        dtype = self._dtype(table, index, name)
        shape = self._shape(table, index, name, dtype)
        quantization = self._quantization(table, index, name, dtype, shape)
        data = self._data(table, index, name, dtype, shape)
        return Tensor(index, name, shape, dtype, quantization, data)

    def _refuse(self, index: int, name: str, message: str, hint: str = "") -> NoReturn:
        raise InputError(f"{self._label}: tensor {index} {printable(name)} {message}", hint)

    def _dtype(self, table: Table, index: int, name: str) -> DType:
        number = table.int8(TensorSlot.TYPE)
        try:
            stored = TensorType(number)
        except ValueError:
            table.fail(f"{table.what} has type {number}, the largest is {max(TensorType)}")
        if stored in _OTHER_FLOATS:
            raise InputError(
                f"{self._label} is a float model: tensor {index} {printable(name)} is "
                f"{stored.name.lower()}",
                float_hint(self._label),
            )
        if stored not in _DTYPES:
            supported = ", ".join(d.value for d in _DTYPES.values())
            self._refuse(
                index,
                name,
                f"is {stored.name.lower()}, which is not supported",
                f"supported types: {supported}",
            )
        return _DTYPES[stored]

    def _shape(self, table: Table, index: int, name: str, dtype: DType) -> tuple[int, ...]:
        shape = table.int32_vector(TensorSlot.SHAPE)
        if len(shape) > _LARGEST_RANK:
            self._refuse(index, name, f"has {len(shape)} dimensions, at most {_LARGEST_RANK}")
        if any(d <= 0 for d in shape):
            self._refuse(
                index,
                name,
                f"has the shape {list(shape)}, which is not fixed",
                "convert the model with a fixed input shape, such as a batch of 1",
            )
        size = math.prod(shape) * dtype.bytes
        if size > LARGEST_TENSOR_BYTES:
            self._refuse(
                index,
                name,
                f"of shape {list(shape)} has {size} bytes, at most {LARGEST_TENSOR_BYTES}",
            )
        return shape

    def _quantization(
        self, table: Table, index: int, name: str, dtype: DType, shape: tuple[int, ...]
    ) -> Quantization | None:
        stored = table.table(TensorSlot.QUANTIZATION, f"the quantisation of tensor {index}")
        if stored is None or dtype not in _RANGES:
            return None
        if stored.uint8(QuantizationSlot.DETAILS_TYPE):
            self._refuse(
                index,
                name,
                "is quantised in blocks or in a custom way",
                "supported is one scale for the tensor, or one a channel",
            )
        scales = stored.float32_vector(QuantizationSlot.SCALE)
        if not scales:
            return None
        zero_points = stored.int64_vector(QuantizationSlot.ZERO_POINT) or (0,) * len(scales)
        if len(zero_points) != len(scales):
            self._refuse(
                index, name, f"has {len(scales)} scales and {len(zero_points)} zero points"
            )
        for scale in scales:
            if not (math.isfinite(scale) and scale > 0):
                self._refuse(
                    index,
                    name,
                    f"has the scale {scale:g}, which is not a positive number",
                    "the model's quantisation is damaged: convert it again",
                )
        low, high = _RANGES[dtype]
        for zero_point in zero_points:
            if not low <= zero_point <= high:
                self._refuse(
                    index,
                    name,
                    f"has the zero point {zero_point}, outside {dtype.value}'s {low} to {high}",
                    "the model's quantisation is damaged: convert it again",
                )
        axis = stored.int32(QuantizationSlot.QUANTIZED_DIMENSION)
        if len(scales) == 1:
            axis = 0
        elif len(shape) == 1:
            # Old converters gave the biases their weights' axis; a vector has only one.
            axis = 0
        if len(scales) > 1:
            self._check_channels(index, name, shape, axis, len(scales))
        return Quantization(scales, zero_points, axis)

    def _check_channels(
        self, index: int, name: str, shape: tuple[int, ...], axis: int, scales: int
    ) -> None:
        if not 0 <= axis < len(shape):
            self._refuse(
                index, name, f"has scales along dimension {axis} of the shape {list(shape)}"
            )
        if scales != shape[axis]:
            self._refuse(
                index,
                name,
                f"has {scales} scales along dimension {axis}, which has {shape[axis]} elements",
            )

    def _data(
        self, table: Table, index: int, name: str, dtype: DType, shape: tuple[int, ...]
    ) -> Array | None:
        number = table.uint32(TensorSlot.BUFFER)
        outside = table.uint32(TensorSlot.EXTERNAL_BUFFER) > 0
        if number >= len(self._buffers):
            table.fail(f"{table.what} is in buffer {number} of {len(self._buffers)}")
        buffer = self._buffers[number]
        # An offset of 0 or 1 is a placeholder by the schema.
        outside |= buffer.uint64(BufferSlot.OFFSET) > 1 or buffer.uint64(BufferSlot.SIZE) > 1
        if outside:
            self._refuse(
                index,
                name,
                "has its data outside the flatbuffer, which microcontrollers cannot read",
                "write the model again with all its buffers inside the flatbuffer",
            )
        content = buffer.constant(BufferSlot.DATA, f"the data of buffer {number}")
        if not content.size:
            return None
        size = math.prod(shape) * dtype.bytes
        if content.size != size:
            self._refuse(
                index,
                name,
                f"of shape {list(shape)} and type {dtype.value} needs {size} bytes, "
                f"its buffer has {content.size}",
            )
        return content.view(dtype.numpy.newbyteorder("<")).reshape(shape)
