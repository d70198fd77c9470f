"""A float model whose weights and operators a repair changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import Array
from ...tflite.schema import TensorType
from .. import modelfile as mf
from ..floatmodel import FloatModel

NONE, RELU, RELU6 = 0, 1, 3  # ActivationFunctionType of the schema

# Operator -> which inputs are (source, weights, bias), and the weights' axes (out, in).
_INPUTS = {"TRANSPOSE_CONV": (2, 1, 3)}
_AXES = {"CONV_2D": (0, 3), "FULLY_CONNECTED": (0, 1), "TRANSPOSE_CONV": (0, 3)}
_DEPTHWISE = "DEPTHWISE_CONV_2D"


@dataclass(frozen=True, eq=False)
class Linear:
    """A layer that is a product with weights and the addition of a bias.

    Attributes:
        operator: The schema's object.
        op: TFLite's name of it.
        index: Its place among the operators.
        source, weights, bias, output: Tensor numbers; a bias of -1 is absent.
        channels_in: Of its input; for FULLY_CONNECTED the numbers that it takes.
    """

    operator: Any
    op: str
    index: int
    source: int
    weights: int
    bias: int
    output: int
    channels_in: int

    def scaled_outputs(self, weights: Array, factors: Array) -> Array:
        """Weights with each output channel multiplied by its factor."""
        shape = [1] * weights.ndim
        shape[self.out_axis] = -1
        scaled: Array = weights * factors.reshape(shape)
        return scaled

    def scaled_inputs(self, weights: Array, factors: Array) -> Array:
        """Weights with each input channel multiplied by its factor; see `by_input()`."""
        if self.op == _DEPTHWISE:
            factors = np.repeat(factors, weights.shape[3] // self.channels_in)
            return self.scaled_outputs(weights, factors)
        own = np.tile(factors, self.channels_in // len(factors))
        shape = [1] * weights.ndim
        shape[_AXES[self.op][1]] = -1
        scaled: Array = weights * own.reshape(shape)
        return scaled

    def by_output(self, weights: Array) -> Array:
        """The largest magnitude of each output channel's weights."""
        others = tuple(d for d in range(weights.ndim) if d != self.out_axis)
        largest: Array = np.abs(weights).max(axis=others)
        return largest

    def by_input(self, weights: Array, channels: int) -> Array:
        """The largest magnitude of the weights that each input channel meets.

        Args:
            channels: Of the picture; a flattened one has each of them many times.
        """
        size = np.abs(weights)
        if self.op == _DEPTHWISE:
            found: Array = size.max(axis=(0, 1, 2)).reshape(channels, -1).max(axis=1)
            return found
        axis = _AXES[self.op][1]
        largest = size.max(axis=tuple(d for d in range(size.ndim) if d != axis))
        tiled: Array = largest.reshape(-1, channels).max(axis=0)
        return tiled

    @property
    def out_axis(self) -> int:
        return 3 if self.op == _DEPTHWISE else _AXES[self.op][0]


class Editor:
    """A prepared float model, opened for changes.

    Args:
        model: Not changed; `content()` is the new file.
    """

    def __init__(self, model: FloatModel) -> None:
        self._model = mf.read(model.content, model.label)
        self.subgraph = self._model.subgraphs[0]

    @property
    def operators(self) -> list[Any]:
        operators: list[Any] = self.subgraph.operators
        return operators

    def content(self) -> bytes:
        """The file as it is now."""
        mf.drop_unused(self._model, share=False)
        return mf.write(self._model)

    # ---- Looking ------------------------------------------------------------------------

    def op(self, operator: Any) -> str:
        return mf.operator_name(self._model, operator)

    def name(self, tensor: int) -> str:
        return mf.text(self.subgraph.tensors[tensor].name)

    def shape(self, tensor: int) -> tuple[int, ...]:
        return mf.shape_of(self.subgraph.tensors[tensor])

    def constant(self, tensor: int) -> Array | None:
        """A float constant's values; None for anything else."""
        if tensor < 0 or self.subgraph.tensors[tensor].type != TensorType.FLOAT32:
            return None
        return mf.constant(self._model, self.subgraph.tensors[tensor])

    def whole_numbers(self, tensor: int) -> Array | None:
        """Any constant's values, such as axes and paddings."""
        return mf.constant(self._model, self.subgraph.tensors[tensor]) if tensor >= 0 else None

    def activation(self, operator: Any) -> int:
        """The number of the activation fused into an operator."""
        return int(getattr(operator.builtinOptions, "fusedActivationFunction", NONE) or NONE)

    def only_consumer(self, tensor: int) -> Any | None:
        """The operator that reads a tensor, where nothing else does and it is no output."""
        if tensor in mf.indices(self.subgraph.outputs):
            return None
        readers = [o for o in self.operators if tensor in mf.indices(o.inputs)]
        alone = len(readers) == 1 and mf.indices(readers[0].inputs).count(tensor) == 1
        return readers[0] if alone else None

    def linear(self, operator: Any) -> Linear | None:
        """An operator as a linear layer whose weights are its own; None if it is none."""
        op = self.op(operator)
        if op not in _AXES and op != _DEPTHWISE:
            return None
        inputs = mf.indices(operator.inputs)
        source, weights, bias = _INPUTS.get(op, (0, 1, 2))
        held = self.constant(inputs[weights])
        place = inputs[bias] if bias < len(inputs) else -1
        if held is None or (place >= 0 and self.constant(place) is None):
            return None
        shape = self.shape(inputs[source])
        if op == "FULLY_CONNECTED":
            channels = held.shape[1]
            if math.prod(shape) % channels:
                return None
        else:
            channels = shape[-1]
            grouped = op != _DEPTHWISE and held.shape[3] != channels
            if grouped or (op == _DEPTHWISE and held.shape[3] % channels):
                return None
        return Linear(
            operator=operator,
            op=op,
            index=next(i for i, o in enumerate(self.operators) if o is operator),
            source=inputs[source],
            weights=inputs[weights],
            bias=place,
            output=mf.indices(operator.outputs)[0],
            channels_in=channels,
        )

    def linears(self) -> list[Linear]:
        return [x for o in self.operators if (x := self.linear(o)) is not None]

    # ---- Changing -----------------------------------------------------------------------

    def set(self, operator: Any, tensor: int, values: Array) -> None:
        """Gives an operator new values of a constant; others that share it keep theirs."""
        own = tensor
        if sum(tensor in mf.indices(o.inputs) for o in self.operators) > 1:
            own = self._new_tensor(self.name(tensor))
            operator.inputs = [own if i == tensor else i for i in mf.indices(operator.inputs)]
        mf.set_constant(self._model, self.subgraph.tensors[own], np.asarray(values, np.float32))

    def set_bias(self, layer: Linear, values: Array) -> None:
        """Gives a layer a bias, also one that had none."""
        if layer.bias >= 0:
            self.set(layer.operator, layer.bias, values)
            return
        place = _INPUTS.get(layer.op, (0, 1, 2))[2]
        inputs = mf.indices(layer.operator.inputs)
        inputs += [-1] * (place + 1 - len(inputs))
        inputs[place] = self._new_tensor(f"{self.name(layer.output)}/bias")
        layer.operator.inputs = inputs
        mf.set_constant(
            self._model, self.subgraph.tensors[inputs[place]], np.asarray(values, np.float32)
        )

    def weights_of(self, layer: Linear) -> Array:
        weights = self.constant(layer.weights)
        assert weights is not None  # as linear() has checked
        return weights

    def bias_of(self, layer: Linear) -> Array:
        """A layer's bias, zeros where it has none."""
        held = self.constant(layer.bias)
        channels = self.weights_of(layer).shape[layer.out_axis]
        return np.zeros(channels) if held is None else held.reshape(-1)

    def set_activation(self, operator: Any, activation: int) -> None:
        operator.builtinOptions.fusedActivationFunction = activation

    def set_op(self, operator: Any, op: str) -> None:
        """Makes an operator another one that has no options."""
        operator.opcodeIndex = mf.add_code(self._model, op)
        operator.builtinOptions = None
        operator.builtinOptionsType = 0

    def bypass(self, operator: Any, before: Any) -> None:
        """Takes out an operator: the one `before` it writes its output."""
        before.outputs = mf.indices(operator.outputs)
        # By identity: the schema's objects have no equality of their own.
        self.subgraph.operators = [o for o in self.operators if o is not operator]

    def _new_tensor(self, wanted: str) -> int:
        names = {mf.text(t.name) for t in self.subgraph.tensors}
        name, number = wanted, 2
        while name in names:
            name, number = f"{wanted}_{number}", number + 1
        self.subgraph.tensors.append(mf.schema().TensorT(name=name.encode()))
        return len(self.subgraph.tensors) - 1
