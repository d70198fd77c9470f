"""Any functional Keras model as a flat Keras 2 one, which is what TF-MOT takes.

The graph is walked in order and built again, layer by layer, in tf_keras; nested models are
unrolled; the weights are copied.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..frameworks import first_line, tensorflow, tf_keras

# Operations on tensors that Keras 3 records without a layer, and the layers that compute them.
_OPERATIONS = {
    "Add": "Add",
    "Subtract": "Subtract",
    "Multiply": "Multiply",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
    "Relu": "ReLU",
    "Concatenate": "Concatenate",
}
# Far above what float32 brings in another order of sums, far below what any mistake does.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Call:
    """One call of an operation in a model's graph."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Any]


def calls(model: Any) -> Iterator[Call]:
    """The calls of a functional model of Keras 2 or 3, in an order that can be computed."""
    model = getattr(model, "_functional", None) or model
    by_depth = getattr(model, "_nodes_by_depth", None)
    if not by_depth:
        raise InputError(
            f"{model.name} is a subclassed Keras model: its layers cannot be seen",
            "build it with the functional API, or as keras.Sequential",
        )
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            if hasattr(node, "arguments"):
                made = node.arguments
                yield Call(node.operation, made.args, made.kwargs, node.output_tensors)
            else:
                yield Call(node.layer, node.call_args, node.call_kwargs, _leaves(node.outputs))


def to_keras2(model: Any, classes: Mapping[str, Any] | None = None) -> Any:
    """A flat `tf_keras.Model` that computes what `model` computes.

    Args:
        model: Of Keras 2 or 3, functional or sequential.
        classes: The user's own layers by class name; of tf_keras.

    Raises:
        InputError: A layer has no counterpart in Keras 2.
    """
    keras2 = tf_keras()
    source = getattr(model, "_functional", None) or model
    nested = any(hasattr(layer, "layers") for layer in model.layers)
    if isinstance(model, keras2.Model) and not nested:
        return model
    inputs = [
        keras2.Input(tuple(tensor.shape[1:]), name=tensor.name.split(":")[0], dtype=tensor.dtype)
        for tensor in source.inputs
    ]
    replay = _Replay(keras2, dict(classes or {}))
    outputs = replay.run(model, inputs)
    made = keras2.Model(inputs, outputs, name=_plain(model.name))
    _compare(model, made)
    return made


class _Replay:
    """Builds layers once, and calls them as the original does."""

    def __init__(self, keras2: Any, classes: dict[str, Any]) -> None:
        self._keras2 = keras2
        self._classes = classes
        self._made: dict[int, Any] = {}
        self._names: set[str] = set()

    def run(self, model: Any, inputs: Sequence[Any]) -> list[Any]:
        source = getattr(model, "_functional", None) or model
        values = dict(zip(map(id, source.inputs), inputs, strict=True))
        for call in calls(model):
            args = _replace(call.args, values)
            kwargs = {k: v for k, v in _replace(call.kwargs, values).items() if v is not None}
            kwargs.pop("training", None)
            kwargs.pop("mask", None)
            if hasattr(call.operation, "layers"):
                answers = self.run(call.operation, _leaves([args, kwargs]))
            else:
                answers = _leaves(self._call(call.operation, args, kwargs))
            values.update(zip(map(id, call.outputs), answers, strict=True))
        return [values[id(tensor)] for tensor in source.outputs]

    def _call(self, operation: Any, args: Any, kwargs: Any) -> Any:
        kind = type(operation).__name__
        try:
            if _is_bare(operation):
                tensors = _leaves([args, kwargs])
                if kind not in _OPERATIONS or len(tensors) < (1 if kind == "Relu" else 2):
                    raise InputError(
                        f"the operation {kind} ({operation.name!r}) has no layer in Keras 2",
                        "use a layer instead of an operation on tensors",
                    )
                axis = {"axis": operation.axis} if kind == "Concatenate" else {}
                layer = getattr(self._keras2.layers, _OPERATIONS[kind])(
                    name=self._name(operation.name), **axis
                )
                rest = {k: v for k, v in kwargs.items() if not axis and not hasattr(v, "shape")}
                return layer(tensors[0] if len(tensors) == 1 else tensors, **rest)
            if id(operation) not in self._made:
                self._made[id(operation)] = self._layer(operation)
                fresh = True
            else:
                fresh = False
            answer = self._made[id(operation)](*args, **kwargs)
            if fresh:
                self._made[id(operation)].set_weights(operation.get_weights())
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"layer {operation.name!r} ({kind}) cannot be made in Keras 2: {first_line(error)}"
            ) from error
        return answer

    def _layer(self, operation: Any) -> Any:
        kind = type(operation).__name__
        if isinstance(operation, self._keras2.layers.Layer):
            config = {**operation.get_config(), "name": self._name(operation.name)}
            return type(operation).from_config(config)
        made = self._classes.get(kind) or getattr(self._keras2.layers, kind, None)
        if made is None or not issubclass(made, self._keras2.layers.Layer):
            raise InputError(
                f"layer {operation.name!r} is of class {kind}, which Keras 2 does not have",
                "give a tf_keras class of that name: custom_objects = 'file.py:function'",
            )
        known = set(inspect.signature(made.__init__).parameters) | {"trainable"}
        config = {
            key: self._setting(key, value, operation)
            for key, value in operation.get_config().items()
            # The weights are copied, so that how they began does not matter.
            if key in known and not key.endswith(("_initializer", "_constraint"))
        }
        config.pop("dtype", None)
        return made(**{**config, "name": self._name(operation.name)})

    def _setting(self, key: str, value: Any, operation: Any) -> Any:
        """A value of a Keras 3 configuration as Keras 2 takes it."""
        unknown = isinstance(value, str) and not hasattr(self._keras2.activations, value)
        if key == "activation" and unknown:
            raise InputError(
                f"layer {operation.name!r} has the activation {value!r}, which Keras 2 does not "
                "have",
                "use another, such as 'relu'; tinydeploy quantize takes the model as it is",
            )
        if isinstance(value, dict) and "class_name" in value:
            if key.endswith("_regularizer"):
                return {"class_name": value["class_name"], "config": value["config"]}
            if key == "activation":
                raise InputError(
                    f"layer {operation.name!r} has an activation of its own",
                    "use a named one such as 'relu', or a layer of custom_objects",
                )
        return value

    def _name(self, name: str) -> str:
        made, number = name, 1
        while made in self._names:
            number += 1
            made = f"{name}_{number}"
        self._names.add(made)
        return made


def _is_bare(operation: Any) -> bool:
    return ".ops." in type(operation).__module__


def _replace(value: Any, values: Mapping[int, Any]) -> Any:
    """The structure with the original's tensors replaced by the new ones."""
    if id(value) in values:
        return values[id(value)]
    if isinstance(value, list | tuple):
        return (
            [_replace(v, values) for v in value]
            if isinstance(value, list)
            else tuple(_replace(v, values) for v in value)
        )
    if isinstance(value, dict):
        return {k: _replace(v, values) for k, v in value.items()}
    return value


def _leaves(value: Any) -> list[Any]:
    """The tensors of a structure, in order."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value] if hasattr(value, "shape") and hasattr(value, "dtype") else []


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name) or "model"


def _compare(model: Any, made: Any) -> None:
    """Refuses a replay that computes something else."""
    tf = tensorflow()
    rng = np.random.default_rng(0)
    sources = (getattr(model, "_functional", None) or model).inputs
    values = [
        tf.constant(rng.uniform(0, 1, (2, *(d or 8 for d in t.shape[1:]))).astype(np.float32))
        for t in sources
    ]
    given: Any = values if len(values) > 1 else values[0]
    pairs = zip(
        _leaves(model(given, training=False)), _leaves(made(given, training=False)), strict=True
    )
    for old, new in pairs:
        expected, got = np.asarray(old), np.asarray(new)
        difference = float(np.abs(expected - got).max(initial=0.0))
        if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
            raise InputError(
                f"{model.name} computes something else in Keras 2: the outputs differ by "
                f"{difference:.3g}",
                "save it from Keras 2 (tf_keras) as .h5",
            )
