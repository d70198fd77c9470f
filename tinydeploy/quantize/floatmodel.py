"""A float `.tflite` file made ready for quantisation: what every later step takes for granted.

One subgraph with a static shape, constants in float32 and finite, tensor names unique, one
signature, nothing dead. Whatever a converter left that has a constant value (the shape arithmetic
of a dynamic batch, weights stored as float16 or int8) is computed here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph import Array
from ..tflite.schema import TensorType
from ..tflite.tensors import printable
from . import modelfile as mf
from .floatrun import Runner

# They call other subgraphs or keep state, which no microcontroller engine here does.
_CONTROL = ("IF", "WHILE", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
_INTEGERS = (TensorType.INT8, TensorType.UINT8, TensorType.INT16)


@dataclass(frozen=True)
class Layer:
    """An operator of a float model.

    Attributes:
        index: Its place in the prepared file.
        op: TFLite's name of it.
        name: Its first output's name, which is what overrides match.
        inputs, outputs: Tensor names; absent inputs are "".
    """

    index: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"layer {self.index} {self.op} {printable(self.name, 60)}"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a float model.

    Attributes:
        index: Its number in the prepared file.
        data: A constant's content; None where it is computed.
        is_float: Whether it holds float32, which is what is quantised.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    is_float: bool
    data: Array | None = None


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A float model, prepared.

    Attributes:
        content: The prepared `.tflite` file.
        label: What errors call it.
        layers: In execution order.
        tensors: By name.
        inputs, outputs: Names of the model's ends.
        notes: What the user should know of its preparation.
    """

    content: bytes
    label: str
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def activations(self) -> tuple[str, ...]:
        """Float tensors that are computed or given, in the order in which they come to be."""
        made = [*self.inputs, *(name for layer in self.layers for name in layer.outputs)]
        return tuple(n for n in dict.fromkeys(made) if self.tensors[n].is_float)

    def producer(self, tensor: str) -> Layer | None:
        """The layer that computes a tensor; None for inputs and constants."""
        return next((layer for layer in self.layers if tensor in layer.outputs), None)


def prepare(content: bytes | FloatModel, label: str = "the model") -> FloatModel:
    """Makes a float model ready to be calibrated and quantised.

    Args:
        content: A `.tflite` file of float32, also one whose weights are stored as float16 or int8
            (dynamic range). What is prepared already comes back as it is.
        label: What errors call it.

    Raises:
        InputError: It is damaged, quantised already, not static, or has weights that are no
            numbers, custom operators or state.
    """
    if isinstance(content, FloatModel):
        return content
    model = mf.read(content, label)
    notes: list[str] = []
    _check_operators(model, label)
    model.subgraphs = model.subgraphs[:1]
    _make_static(model, label)
    _name_uniquely(model)
    _restore_weights(model, label, notes)
    _fold_constants(model, label)
    _check_numbers(model, label)
    _sign(model)
    mf.drop_unused(model, share=False)
    return _described(model, label, tuple(notes))


def _check_operators(model: Any, label: str) -> None:
    subgraph = model.subgraphs[0]
    if not subgraph.operators:
        raise InputError(f"{label} has no operators: there is nothing to compute")
    for index, operator in enumerate(subgraph.operators):
        layer = mf.layer_label(model, index)
        if mf.is_custom(model, operator):
            raise InputError(
                f"{label}: {layer} is a custom operator, which cannot be quantised",
                "build the layer from ordinary ones, or register it with the converter: "
                "custom_objects={'Name': Class} when the Keras model is loaded",
            )
        if mf.operator_name(model, operator) in _CONTROL:
            raise InputError(
                f"{label}: {layer} is control flow or state, which cannot be quantised",
                "convert the model without loops and variables: unroll=True for recurrent layers",
            )
    for tensor in subgraph.tensors:
        if tensor.isVariable:
            raise InputError(
                f"{label}: tensor {printable(mf.text(tensor.name))} is a variable, which keeps its "
                "value between inferences",
                "convert the model without state: the caller keeps it, as an input and an output",
            )


def _make_static(model: Any, label: str) -> None:
    """A batch that is left open is 1; any other open dimension is refused."""
    for tensor in model.subgraphs[0].tensors:
        signature = mf.indices(tensor.shapeSignature)
        if any(d < 0 for d in signature[1:]) or any(d <= 0 for d in mf.shape_of(tensor)):
            shape = signature or list(mf.shape_of(tensor))
            raise InputError(
                f"{label}: tensor {printable(mf.text(tensor.name))} has the shape {shape}, which "
                "is not fixed",
                "convert the model with a fixed input shape: keras.Input(batch_shape=(1, …))",
            )
        tensor.shapeSignature = None


def _name_uniquely(model: Any) -> None:
    """Ranges and overrides go by name; converters leave empty and equal ones."""
    seen: set[str] = set()
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        name = base = mf.text(tensor.name) or f"tensor_{index}"
        number = 2
        while name in seen:
            name = f"{base}_{number}"
            number += 1
        seen.add(name)
        tensor.name = name.encode()


def _restore_weights(model: Any, label: str, notes: list[str]) -> None:
    """Weights that are stored as int8 become float again; integer activations are refused."""
    restored = 0
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        scales = mf.scales_of(tensor)
        if tensor.type not in _INTEGERS or scales is None:
            continue
        data = mf.constant(model, tensor)
        if data is None:
            raise InputError(
                f"{label} is quantised already: tensor {index} {printable(mf.text(tensor.name))} "
                f"is {mf.NUMPY_TYPES[tensor.type].name}",
                "give the float model it was made from",
            )
        if _feeds_dequantize(model, index):
            continue  # folded with its DEQUANTIZE
        zeros = np.asarray(mf.indices(tensor.quantization.zeroPoint) or [0], np.float64)
        axis = int(tensor.quantization.quantizedDimension)
        shape = [1] * data.ndim
        if scales.size > 1:
            shape[axis] = scales.size
        real = (data - np.resize(zeros, scales.size).reshape(shape)) * scales.reshape(shape)
        mf.set_constant(model, tensor, real.astype(np.float32))
        restored += 1
    if restored:
        notes.append(
            f"{restored} weights were stored as int8 already (dynamic range): what they lost then "
            "stays lost; start from the float model for the best accuracy"
        )


def _feeds_dequantize(model: Any, tensor: int) -> bool:
    return any(
        tensor in mf.indices(operator.inputs) and mf.operator_name(model, operator) == "DEQUANTIZE"
        for operator in model.subgraphs[0].operators
    )


def _fold_constants(model: Any, label: str) -> None:
    """Operators that have the same answer for every input become that answer."""
    subgraph = model.subgraphs[0]
    fixed = {i for i, t in enumerate(subgraph.tensors) if mf.constant(model, t) is not None}
    folded: list[int] = []
    for index, operator in enumerate(subgraph.operators):
        inputs = [i for i in mf.indices(operator.inputs) if i >= 0]
        shape_only = mf.operator_name(model, operator) == "SHAPE"  # shapes are static here
        if shape_only or (inputs and all(i in fixed for i in inputs)):
            folded.append(index)
            fixed.update(mf.indices(operator.outputs))
    if not folded:
        return
    runner = Runner(mf.write(model), keep=True)
    tensors = [subgraph.tensors[i] for i in mf.indices(subgraph.inputs)]
    runner.run([np.zeros(mf.shape_of(t), mf.NUMPY_TYPES[t.type]) for t in tensors])
    for index in folded:
        for output in mf.indices(subgraph.operators[index].outputs):
            mf.set_constant(model, subgraph.tensors[output], runner.tensor(output))
    gone = set(folded)
    subgraph.operators = [o for i, o in enumerate(subgraph.operators) if i not in gone]
    if not subgraph.operators:
        raise InputError(f"{label} gives the same answer for every input")


def _check_numbers(model: Any, label: str) -> None:
    subgraph = model.subgraphs[0]
    for index, tensor in enumerate(subgraph.tensors):
        data = mf.constant(model, tensor)
        if data is None or tensor.type != TensorType.FLOAT32 or np.isfinite(data).all():
            continue
        bad = data[~np.isfinite(data)]
        users = [i for i, o in enumerate(subgraph.operators) if index in mf.indices(o.inputs)]
        where = f" of {mf.layer_label(model, users[0])}" if users else ""
        raise InputError(
            f"{label}: the weights {printable(mf.text(tensor.name))}{where} hold {bad.size} of "
            f"{data.size} values that are no numbers (the first is {bad.flat[0]})",
            "the training diverged: lower the learning rate, or load an earlier checkpoint",
        )


def _sign(model: Any) -> None:
    """One signature that names every input and output: the quantiser does not work without."""
    generated = mf.schema()
    subgraph = model.subgraphs[0]

    def ends(kind: str, tensors: Sequence[int]) -> list[Any]:
        return [
            generated.TensorMapT(name=f"{kind}_{i}".encode(), tensorIndex=t)
            for i, t in enumerate(tensors)
        ]

    model.signatureDefs = [
        generated.SignatureDefT(
            inputs=ends("input", mf.indices(subgraph.inputs)),
            outputs=ends("output", mf.indices(subgraph.outputs)),
            signatureKey=b"serving_default",
            subgraphIndex=0,
        )
    ]


def _described(model: Any, label: str, notes: tuple[str, ...]) -> FloatModel:
    subgraph = model.subgraphs[0]
    names = [mf.text(t.name) for t in subgraph.tensors]

    def named(numbers: Any) -> tuple[str, ...]:
        return tuple(names[i] if i >= 0 else "" for i in mf.indices(numbers))

    tensors = {
        name: Tensor(
            name=name,
            index=index,
            shape=mf.shape_of(tensor),
            is_float=tensor.type == TensorType.FLOAT32,
            data=mf.constant(model, tensor),
        )
        for index, (name, tensor) in enumerate(zip(names, subgraph.tensors, strict=True))
    }
    layers = tuple(
        Layer(
            index=index,
            op=mf.operator_name(model, operator),
            name=next(iter(named(operator.outputs)), ""),
            inputs=named(operator.inputs),
            outputs=named(operator.outputs),
        )
        for index, operator in enumerate(subgraph.operators)
    )
    for layer in layers:
        if layer.op in ("QUANTIZE", "FAKE_QUANT", "DEQUANTIZE"):
            raise InputError(
                f"{label}: {layer} is left of quantisation-aware training",
                "convert that model with TensorFlow's own converter: its ranges are in it",
            )
    return FloatModel(
        content=mf.write(model),
        label=label,
        layers=layers,
        tensors=MappingProxyType(tensors),
        inputs=named(subgraph.inputs),
        outputs=named(subgraph.outputs),
        notes=notes,
    )
