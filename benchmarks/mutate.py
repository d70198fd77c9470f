"""Models to damage, and ways to damage them: what `fuzz.py` feeds the front half with."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tinydeploy.errors import InputError
from tinydeploy.ops import OPERATORS
from tinydeploy.tflite.flatbuffer import Flatbuffer
from tinydeploy.tflite.schema import (
    OPTION_KINDS,
    BufferSlot,
    Kind,
    ModelSlot,
    TensorType,
)
from tinydeploy.tflite.unpack import unpack
from tinydeploy.tflite.writer import (
    Model,
    Operator,
    Option,
    Tensor,
    constant,
    float32,
    int8,
    int32,
    int32_vector,
    write,
)

_NUMBERS = (
    *(-(1 << 31), -65537, -129, -128, -2, -1, 0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 65535),
    *(65536, 1 << 20, (1 << 30) - 1, 1 << 30, (1 << 31) - 1),
)
_FLOATS = (0.0, -0.0, -1.0, 1.0, 1e-45, 1e-38, 1e-9, 3.4e38, 1e9, float("inf"), float("nan"))
_NAMES = ("", '"', "*/", "\n", "\0", "模型 🙂", "%s", "\\", "??/", "x" * 10_000)


# ---- What is damaged ------------------------------------------------------------------------


def networks() -> dict[str, bytes]:
    """Small networks that have every operator."""
    return {"vision": write(_vision()), "elements": write(_elements()), "shapes": write(_shapes())}


def real_models(folder: Path) -> dict[str, bytes]:
    """The `.tflite` files of a folder, by stem."""
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.tflite"))}


def _activation(*shape: int, scale: float = 0.05, zero_point: int = 3) -> Tensor:
    return Tensor(shape, scales=(scale,), zero_points=(zero_point,), name=f"a{shape}")


def _weights(*shape: int, scales: int = 1, axis: int = 0) -> Tensor:
    data = (np.arange(np.prod(shape)) * 37 % 255 - 127).astype(np.int8).reshape(shape)
    return constant(data, [0.01 + 0.001 * i for i in range(scales)], axis=axis)


def _bias(size: int, scales: int = 1) -> Tensor:
    data = np.arange(size, dtype=np.int32) * 100 - 150
    return constant(data, [0.05 * (0.01 + 0.001 * i) for i in range(scales)])


def _indices(*values: int) -> Tensor:
    return constant(np.array(values, np.int32))


def _vision() -> Model:
    convolution = {0: int8(0), 1: int32(1), 2: int32(1), 3: int8(1)}
    depthwise = {0: int8(0), 1: int32(2), 2: int32(2), 3: int32(2), 4: int8(3)}
    pool = {0: int8(1), 1: int32(2), 2: int32(2), 3: int32(2), 4: int32(2)}
    tensors = (
        _activation(1, 8, 8, 3),
        _weights(8, 3, 3, 3, scales=8),
        _bias(8, scales=8),
        _activation(1, 8, 8, 8),
        _weights(1, 3, 3, 16, scales=16, axis=3),
        _bias(16, scales=16),
        _activation(1, 4, 4, 16),
        _activation(1, 2, 2, 16),
        _activation(1, 1, 1, 16),
        _indices(1, 16),
        _activation(1, 16),
        _weights(10, 16),
        _bias(10),
        _activation(1, 10),
        _activation(1, 10, scale=1 / 256, zero_point=-128),
    )
    operators = (
        Operator("CONV_2D", (0, 1, 2), (3,), convolution),
        Operator("DEPTHWISE_CONV_2D", (3, 4, 5), (6,), depthwise),
        Operator("MAX_POOL_2D", (6,), (7,), pool),
        Operator("AVERAGE_POOL_2D", (7,), (8,), pool),
        Operator("RESHAPE", (8, 9), (10,), {0: int32_vector([1, 16])}),
        Operator("FULLY_CONNECTED", (10, 11, 12), (13,)),
        Operator("SOFTMAX", (13,), (14,), {0: float32(1.0)}),
    )
    return Model(tensors, operators, (0,), (14,))


def _elements() -> Model:
    probability = _activation(2, 6, scale=1 / 256, zero_point=-128)
    symmetric = _activation(2, 6, scale=1 / 128, zero_point=0)
    any_ = _activation(2, 6, scale=0.1, zero_point=-5)
    real = Tensor((2, 6), type=TensorType.FLOAT32)
    outputs = (any_, any_, any_, any_, any_, any_, any_, probability, symmetric, any_, real)
    tensors = (real, any_, any_, *outputs)
    operators = (
        Operator("QUANTIZE", (0,), (1,)),
        Operator("ADD", (1, 2), (3,), {0: int8(1)}),
        Operator("SUB", (3, 1), (4,)),
        Operator("MUL", (4, 2), (5,)),
        Operator("RELU", (5,), (6,)),
        Operator("RELU6", (6,), (7,)),
        Operator("LEAKY_RELU", (7,), (8,), {0: float32(0.25)}),
        Operator("HARD_SWISH", (8,), (9,)),
        Operator("LOGISTIC", (9,), (10,)),
        Operator("TANH", (10,), (11,)),
        Operator("QUANTIZE", (11,), (12,)),
        Operator("DEQUANTIZE", (12,), (13,)),
    )
    return Model(tensors, operators, (0, 2), (13, 9))


def _shapes() -> Model:
    pads = constant(np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32))
    tensors = (
        _activation(1, 3, 4, 2),
        pads,
        _activation(1, 5, 6, 2),
        _activation(1, 5, 6, 4),
        _indices(1, 2),
        _activation(1, 4),
        _indices(-1),
        _activation(4),
    )
    operators = (
        Operator("PAD", (0, 1), (2,)),
        Operator("CONCATENATION", (2, 2), (3,), {0: int32(-1)}),
        Operator("MEAN", (3, 4), (5,)),
        Operator("RESHAPE", (5, 6), (7,)),
    )
    return Model(tensors, operators, (0,), (7,))


# ---- Damage to bytes ------------------------------------------------------------------------


def mutant(content: bytes, donors: Sequence[bytes], rng: Random) -> tuple[str, bytes]:
    """(what was done, the damaged file); at times, nothing that matters is damaged."""
    way = rng.choice(_WAYS)
    return way.__name__.strip("_"), way(content, donors, rng)


@lru_cache(maxsize=32)
def _metadata(content: bytes) -> Sequence[tuple[int, int]]:
    """(begin, end) of the stretches of a sound model that are not constants."""
    buffers = Flatbuffer(content, "").root("").tables(ModelSlot.BUFFERS, "")
    base = np.frombuffer(content, np.uint8).ctypes.data
    constants = []
    for i in range(len(buffers)):
        data = buffers[i].constant(BufferSlot.DATA, "")
        if data.size:
            constants.append((data.ctypes.data - base, data.ctypes.data - base + data.size))
    stretches, end = [], 0
    for begin, after in sorted(constants):
        if begin > end:
            stretches.append((end, begin))
        end = max(end, after)
    return [*stretches, (end, len(content))]


def _spot(content: bytes, width: int, rng: Random) -> int:
    """A place in the metadata, aligned as a field of that width is."""
    stretches = [(a, b) for a, b in _metadata(content) if b - a >= 2 * width]
    begin, end = rng.choices(stretches, [b - a for a, b in stretches])[0]
    return min((rng.randrange(begin, end) // width) * width, len(content) - width)


def _bits(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[_spot(content, 1, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _bytes(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 16))):
        changed[_spot(content, 1, rng)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def _anywhere(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    changed = bytearray(content)
    for _ in range(rng.choice((1, 4, 64))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _words(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    """Offsets, lengths and numbers, set to what hurts."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2))):
        at = _spot(content, 4, rng)
        (old,) = struct.unpack_from("<I", content, at)
        near = (old + rng.choice((-8, -4, -1, 1, 4, 8))) % (1 << 32)
        end = max(len(content) - at, 0)
        value = rng.choice((near, near, rng.choice(_NUMBERS), end, end - 4, rng.randrange(1 << 32)))
        struct.pack_into("<I", changed, at, value % (1 << 32))
    return bytes(changed)


def _halves(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    """The tables' layouts consist of these."""
    changed = bytearray(content)
    at = _spot(content, 2, rng)
    struct.pack_into("<H", changed, at, rng.choice((0, 1, 2, 4, 6, 8, 40, 0x7FFF, 0xFFFF)))
    return bytes(changed)


def _swapped(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    changed = bytearray(content)
    a, b = _spot(content, 4, rng), _spot(content, 4, rng)
    changed[a : a + 4], changed[b : b + 4] = content[b : b + 4], content[a : a + 4]
    return bytes(changed)


def _cut(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    return content[: rng.randrange(len(content))]


def _shifted(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    """Bytes put in or taken out, so that all behind them stand elsewhere."""
    at, size = _spot(content, 1, rng), rng.choice((1, 2, 4, 16, 1000))
    return (
        content[:at] + (rng.randbytes(size) if rng.random() < 0.5 else b"") + content[at + size :]
    )


def _spliced(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:
    donor = rng.choice(donors)
    size = rng.choice((4, 16, 64, 1024))
    source, at = _spot(donor, 4, rng), _spot(content, 4, rng)
    return content[:at] + donor[source : source + size] + content[at + size :]


# ---- Damage to the model ----------------------------------------------------------------------


def _remodelled(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:  # noqa: ARG001
    """A sound file of an unsound model."""
    try:
        model = unpack(content, "m.tflite")
    except InputError:
        return content
    for _ in range(rng.choice((1, 1, 2, 3))):
        model = rng.choice(_CHANGES)(model, rng)
    return write(model)


def _both(content: bytes, donors: Sequence[bytes], rng: Random) -> bytes:
    return rng.choice((_bits, _words, _halves))(_remodelled(content, donors, rng), donors, rng)


def _with_tensor(model: Model, index: int, **changes: Any) -> Model:
    tensors = list(model.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(model, tensors=tuple(tensors))


def _change_shape(model: Model, rng: Random) -> Model:
    index = rng.randrange(len(model.tensors))
    shape = list(model.tensors[index].shape)
    if shape and rng.random() < 0.8:
        i = rng.randrange(len(shape))
        shape[i] = rng.choice((shape[i] + 1, shape[i] - 1, 1, 2 * shape[i], rng.choice(_NUMBERS)))
    else:
        shape = rng.choice(([], [1], [*shape, 1], shape[1:], shape[::-1], [1] * 9))
    shape = [min(max(d, -(1 << 31)), (1 << 31) - 1) for d in shape]
    changes: dict[str, Any] = {"shape": tuple(shape)}
    size = int(np.prod([float(d) for d in shape]))
    data = model.tensors[index].data
    if isinstance(data, np.ndarray) and 0 < size < 100_000 and rng.random() < 0.7:
        changes["data"] = np.resize(data, size)
    return _with_tensor(model, index, **changes)


def _change_quantization(model: Model, rng: Random) -> Model:
    index = rng.randrange(len(model.tensors))
    tensor = model.tensors[index]
    count = rng.choice((0, 1, 1, len(tensor.scales), *tensor.shape[-1:]))
    scale = rng.choice((rng.choice(_FLOATS), rng.uniform(0, 2), 10 ** rng.uniform(-12, 9)))
    scales = rng.choice((tensor.scales, (scale,) * min(count, 4096)))
    point = rng.choice((-128, 127, 0, 1, *(rng.randrange(-128, 128) for _ in range(8)), -129))
    points = rng.choice((tensor.zero_points, (point,) * len(scales), (point,) * len(scales), ()))
    axis = rng.choice((tensor.axis, tensor.axis, tensor.axis, 0, 1, 3, -1))
    return _with_tensor(model, index, scales=scales, zero_points=points, axis=axis)


def _change_tensor(model: Model, rng: Random) -> Model:
    index = rng.randrange(len(model.tensors))
    changes: Sequence[dict[str, Any]] = (
        {"type": rng.choice((*TensorType, 23, -1))},
        {"name": rng.choice(_NAMES)},
        {"data": None},
        {"data": bytes(rng.choice((0, 1, 4, 16)))},
        {"is_variable": True},
        {"outside": (rng.choice((1, 2, 1 << 40)), 4), "data": None},
    )
    return _with_tensor(model, index, **rng.choice(changes))


def _change_indices(model: Model, rng: Random) -> Model:
    """Constants that say where and how much: axes, paddings, shapes."""
    found = [i for i, t in enumerate(model.tensors) if t.type == TensorType.INT32]
    small = [i for i in found if isinstance(t := model.tensors[i].data, np.ndarray) and t.size < 9]
    if not small:
        return model
    index = rng.choice(small)
    data = np.array(model.tensors[index].data)
    if data.size:
        data.flat[rng.randrange(data.size)] = rng.choice(_NUMBERS)
    return _with_tensor(model, index, data=data)


def _with_operator(model: Model, index: int, **changes: Any) -> Model:
    operators = list(model.operators)
    operators[index] = replace(operators[index], **changes)
    return replace(model, operators=tuple(operators))


def _change_operator(model: Model, rng: Random) -> Model:
    if not model.operators:
        return model
    index = rng.randrange(len(model.operators))
    operator = model.operators[index]
    some = rng.choice((-2, -1, len(model.tensors), *range(len(model.tensors))))
    inputs = list(operator.inputs)
    if inputs and rng.random() < 0.7:
        inputs[rng.randrange(len(inputs))] = some
    else:
        inputs = rng.choice((inputs[:-1], [*inputs, some], [], inputs[::-1], inputs * 3))
    changes: Sequence[dict[str, Any]] = (
        {"inputs": tuple(inputs)},
        {"inputs": tuple(inputs)},
        {"outputs": rng.choice(((some,), (), (*operator.outputs, some)))},
        {"op": rng.choice((*sorted(OPERATORS), "GATHER", "Cust*/om"))},
        {"op": rng.choice(sorted(OPERATORS)), "options": {}},
    )
    return _with_operator(model, index, **rng.choice(changes))


def _change_options(model: Model, rng: Random) -> Model:
    kinds = [(i, OPTION_KINDS[o.op]) for i, o in enumerate(model.operators) if o.op in OPTION_KINDS]
    if not kinds:
        return model
    index, fields = rng.choice(kinds)
    slot = rng.randrange(len(fields))
    options = dict(model.operators[index].options)
    if rng.random() < 0.15:
        options.pop(slot, None)
    else:
        options[slot] = _any_option(fields[slot], rng)
    return _with_operator(model, index, options=options)


def _any_option(kind: Kind, rng: Random) -> Option:
    values: dict[Kind, Callable[[], Any]] = {
        Kind.BOOLEAN: lambda: rng.random() < 0.5,
        Kind.INT8: lambda: rng.choice((0, 1, 2, 3, 4, 5, 6, -1, 127, -128)),
        Kind.INT32: lambda: rng.choice(_NUMBERS),
        Kind.FLOAT32: lambda: rng.choice((*_FLOATS, rng.uniform(-2, 2))),
        Kind.INT32_VECTOR: lambda: tuple(rng.choices(_NUMBERS, k=rng.randrange(6))),
    }
    return Option(kind, values[kind]())


def _change_order(model: Model, rng: Random) -> Model:
    operators = list(model.operators)
    if not operators:
        return model
    a, b = rng.randrange(len(operators)), rng.randrange(len(operators))
    change = rng.randrange(3)
    if change == 0:
        operators[a], operators[b] = operators[b], operators[a]
    elif change == 1:
        operators.insert(a, operators[b])
    else:
        del operators[a]
    return replace(model, operators=tuple(operators))


def _change_ends(model: Model, rng: Random) -> Model:
    count = rng.choice((0, 1, 1, 2, 3))
    some = tuple(rng.randrange(-1, len(model.tensors) + 1) for _ in range(count))
    added = rng.random() < 0.5
    if rng.random() < 0.5:
        return replace(model, inputs=(*model.inputs, *some) if added else some)
    return replace(model, outputs=(*model.outputs, *some) if added else some)


_CHANGES: tuple[Callable[[Model, Random], Model], ...] = (
    _change_shape,
    _change_shape,
    _change_quantization,
    _change_quantization,
    _change_tensor,
    _change_indices,
    _change_operator,
    _change_options,
    _change_options,
    _change_order,
    _change_ends,
)

_WAYS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _bits,
    _bytes,
    _anywhere,
    _words,
    _words,
    _halves,
    _swapped,
    _cut,
    _shifted,
    _spliced,
    _remodelled,
    _remodelled,
    _remodelled,
    _both,
)
