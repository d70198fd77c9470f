"""Whole filters go: which channels hang together, which matter least, and the smaller network.

Every channel of every tensor gets a number. Layers that make channels (convolutions, dense
layers) give new ones; layers that pass them on keep them; additions tie those of their operands
together, so that what is tied stays or goes as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...graph import Array
from ..frameworks import tf_keras
from .recipe import Step
from .replay import calls
from .training import Training, chosen, fit

Ids = NDArray[np.int64]

# Layers that make channels -> the kernel's axis that counts them.
MAKERS = {
    "Conv1D": -1,
    "Conv2D": -1,
    "Dense": -1,
    "SeparableConv1D": -1,
    "SeparableConv2D": -1,
    "Conv2DTranspose": -2,
}
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
_PASSES = (
    *("Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "ActivityRegularization"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"),
    *("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D"),
    *("GlobalMaxPooling2D", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D"),
    *("UpSampling1D", "UpSampling2D", "BatchNormalization"),
)


@dataclass
class Channels:
    """Numbered channels, and which of them are one.

    Attributes:
        parent: Of each number, in a forest; a root is the name of all that are tied to it.
        pinned: Numbers that cannot go: inputs, outputs, what a layer needs that is not known here.
        takes: Layer name -> the numbers of its input's channels.
        makes: Layer name -> the numbers of the channels that it makes.
    """

    parent: list[int] = field(default_factory=list)
    pinned: list[int] = field(default_factory=list)
    takes: dict[str, Ids] = field(default_factory=dict)
    makes: dict[str, Ids] = field(default_factory=dict)

    def fresh(self, count: int) -> Ids:
        start = len(self.parent)
        self.parent += range(start, start + count)
        return np.arange(start, start + count)

    def root(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def tie(self, a: Ids, b: Ids) -> None:
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            self.parent[self.root(x)] = self.root(y)

    def pin(self, ids: Ids) -> None:
        self.pinned += ids.tolist()

    def roots(self, ids: Ids) -> Ids:
        return np.array([self.root(i) for i in ids.tolist()], np.int64)


def run(model: Any, step: Step, training: Training) -> tuple[Any, list[str]]:
    """The smaller model, trained on after each round, and notes.

    Raises:
        InputError: There is nothing that could go.
    """
    remove, rounds = step.remove or 0.0, step.rounds or 1
    before = model.count_params()
    made = model
    for k in range(rounds):
        share = 1 - (1 - remove * (k + 1) / rounds) / (1 - remove * k / rounds)
        made = shrink(made, step, share)
        fit(made, training)
    return made, [f"{before:,} parameters became {made.count_params():,}"]


def shrink(model: Any, step: Step, remove: float) -> Any:
    """A smaller model with the weights of what is left; not trained.

    Args:
        remove: The share of filters that goes.

    Raises:
        InputError: There is nothing that could go.
    """
    channels = trace(model)
    gone = select(model, channels, step, remove)
    return rebuild(model, channels, gone)


def trace(model: Any) -> Channels:
    """Which channels of a flat Keras 2 model hang together."""
    found = Channels()
    known: dict[int, Ids] = {}
    for tensor in model.inputs:
        known[id(tensor)] = found.fresh(int(tensor.shape[-1]))
        found.pin(known[id(tensor)])
    for call in calls(model):
        given = [(known[id(t)], t) for t in _tensors([call.args, dict(call.kwargs)], known)]
        ids = _trace_call(found, call.operation, given, call.outputs)
        for tensor in call.outputs:
            known[id(tensor)] = ids
    for tensor in model.outputs:
        found.pin(known[id(tensor)])
    return found


def select(model: Any, channels: Channels, step: Step, remove: float) -> set[int]:
    """The roots of the channels that go, the least important first.

    Raises:
        InputError: There is nothing that could go.
    """
    allowed = {layer.name for layer in chosen(model, step, tuple(MAKERS))}
    importance = _importance(model, channels, step.norm or "l1")
    makers: dict[int, set[str]] = {}
    for name, ids in channels.makes.items():
        for root in channels.roots(ids).tolist():
            makers.setdefault(root, set()).add(name)
    pinned = set(channels.roots(np.array(channels.pinned, np.int64)).tolist())
    groups: dict[frozenset[str], list[int]] = {}
    for root, names in makers.items():
        if root not in pinned and names <= allowed:
            groups.setdefault(frozenset(names), []).append(root)
    if not groups:
        raise InputError(
            f"no filter of {model.name} can go: inputs, outputs and unknown layers hold them all",
            "choose other layers, or leave the filters step out",
        )
    ranked = {key: sorted(roots, key=lambda r: importance[r]) for key, roots in groups.items()}
    counts = _counts(ranked, importance, step, remove)
    return {root for key, roots in ranked.items() for root in roots[: counts[key]]}


def _counts(
    ranked: Mapping[frozenset[str], Sequence[int]],
    importance: Mapping[int, float],
    step: Step,
    remove: float,
) -> dict[frozenset[str], int]:
    """How many go of each group, with a multiple of `multiple_of` left, and one at the least."""
    if step.scope == "global":
        everyone = sorted((r for roots in ranked.values() for r in roots), key=importance.get)  # type: ignore[arg-type]
        lowest = set(everyone[: round(remove * len(everyone))])
        wanted = {key: sum(r in lowest for r in roots) for key, roots in ranked.items()}
    else:
        wanted = {key: round(remove * len(roots)) for key, roots in ranked.items()}
    of = step.multiple_of or 1
    return {
        key: max(0, len(roots) - of * max(1, -(-(len(roots) - wanted[key]) // of)))
        for key, roots in ranked.items()
    }


def rebuild(model: Any, channels: Channels, gone: set[int]) -> Any:
    """The model without the channels whose roots are `gone`."""
    keras2 = tf_keras()

    def left(ids: Ids) -> NDArray[np.bool_]:
        return np.array([root not in gone for root in channels.roots(ids).tolist()], bool)

    takes = {name: left(ids) for name, ids in channels.takes.items()}
    makes = {name: left(ids) for name, ids in channels.makes.items()}
    config = model.get_config()
    for entry in config["layers"]:
        name = entry["config"].get("name")
        entry.pop("build_config", None)  # holds the old shapes
        if name in makes:
            key = "units" if entry["class_name"] == "Dense" else "filters"
            entry["config"][key] = int(makes[name].sum())
        if entry["class_name"] == "Reshape" and name in takes:
            _reshape(entry["config"], takes[name])
    made = type(model).from_config(config) if _is_plain(model) else keras2.Model.from_config(config)
    for old in model.layers:
        if old.get_weights():
            new = made.get_layer(old.name)
            new.set_weights(_sliced(old, takes.get(old.name), makes.get(old.name)))
    return made


def _trace_call(
    found: Channels, layer: Any, given: Sequence[tuple[Ids, Any]], outputs: Sequence[Any]
) -> Ids:
    """The channels of a layer's output."""
    kind, name = type(layer).__name__, layer.name
    ids, tensor = given[0]
    last = getattr(layer, "data_format", "channels_last") != "channels_first"
    count = int(outputs[0].shape[-1] or 0)
    if len(given) == 1 and last:
        if kind in MAKERS and getattr(layer, "groups", 1) == 1:
            _taken(found, name, ids)
            if name not in found.makes:
                found.makes[name] = found.fresh(count)
            return found.makes[name]
        if kind in _DEPTHWISE:
            _taken(found, name, ids)
            return np.repeat(ids, layer.depth_multiplier)
        if kind in _PASSES and not _along_other_axis(layer, tensor):
            _taken(found, name, ids)
            return ids
        if kind in ("Flatten", "Reshape"):
            same = int(tensor.shape[-1]) == count
            if same and kind == "Reshape":
                _taken(found, name, ids)
                return ids
            if len(outputs[0].shape) == 2:
                flat = np.tile(ids, count // len(ids))
                _taken(found, name, flat)
                return flat
    if kind in _MERGES and len({len(i) for i, _ in given}) == 1:
        for other, _ in given[1:]:
            found.tie(other, ids)
        return ids
    if kind == "Concatenate":
        if layer.axis in (-1, len(tensor.shape) - 1):
            return np.concatenate([i for i, _ in given])
        for other, _ in given[1:]:
            found.tie(other, ids)
        return ids
    for each, _ in given:  # a layer that is not known here keeps what it has
        found.pin(each)
    made = found.fresh(count)
    found.pin(made)
    return made


def _taken(found: Channels, name: str, ids: Ids) -> None:
    """A layer that is called twice sees the same channels twice."""
    if name in found.takes:
        found.tie(found.takes[name], ids)
    else:
        found.takes[name] = ids


def _along_other_axis(layer: Any, tensor: Any) -> bool:
    axis = getattr(layer, "axis", None)
    if type(layer).__name__ != "BatchNormalization" or axis is None:
        return False
    axes = list(axis) if isinstance(axis, list | tuple) or hasattr(axis, "__iter__") else [axis]
    return [a % len(tensor.shape) for a in axes] != [len(tensor.shape) - 1]


def _importance(model: Any, channels: Channels, norm: str) -> dict[int, float]:
    """Root -> the norm of the filters behind it, each against its layer's mean."""
    scales = {
        channels.takes[layer.name].tobytes(): _scale(layer)
        for layer in model.layers
        if type(layer).__name__ == "BatchNormalization" and layer.name in channels.takes
    }
    found: dict[int, float] = {}
    for name, ids in channels.makes.items():
        layer = model.get_layer(name)
        kernel = _kernel(layer)
        rows = np.moveaxis(kernel, MAKERS[type(layer).__name__], 0).reshape(len(ids), -1)
        size = np.abs(rows).sum(1) if norm == "l1" else np.sqrt((rows**2).sum(1))
        size = size * scales.get(ids.tobytes(), 1.0)
        size = size / max(float(size.mean()), 1e-12)
        for root, value in zip(channels.roots(ids).tolist(), size.tolist(), strict=True):
            found[root] = found.get(root, 0.0) + value
    return found


def _scale(layer: Any) -> Any:
    """What a batch normalisation multiplies each channel by."""
    variance = np.asarray(layer.moving_variance)
    gamma = np.asarray(layer.gamma) if layer.scale else 1.0
    return np.abs(gamma) / np.sqrt(variance + layer.epsilon)


def _kernel(layer: Any) -> Array:
    separable = type(layer).__name__.startswith("Separable")
    return np.asarray(layer.pointwise_kernel if separable else layer.kernel)


def _sliced(layer: Any, takes: Array | None, makes: Array | None) -> list[Array]:
    """A layer's weights without the channels that are gone."""
    kind, weights = type(layer).__name__, layer.get_weights()
    if takes is None:
        return list(weights)
    if kind in _DEPTHWISE:
        rest = np.repeat(takes, layer.depth_multiplier)
        return [weights[0][..., takes, :], *(w[rest] for w in weights[1:])]
    if kind == "BatchNormalization":
        return [w[takes] for w in weights]
    if makes is None:
        return list(weights)
    cut: Callable[[Array], Array]
    if kind.startswith("Separable"):
        depth, point, *bias = weights
        rest = np.repeat(takes, layer.depth_multiplier)
        point = point[..., rest, :][..., makes]
        return [depth[..., takes, :], point, *(w[makes] for w in bias)]
    kernel, *bias = weights
    if kind == "Conv2DTranspose":
        cut = lambda k: k[..., makes, :][..., takes]  # noqa: E731
    else:
        cut = lambda k: k[..., takes, :][..., makes]  # noqa: E731
    return [cut(kernel), *(w[makes] for w in bias)]


def _reshape(config: dict[str, Any], left: Array) -> None:
    shape = list(config["target_shape"])
    if shape[-1] != -1:
        shape[-1] = int(left.sum())
    config["target_shape"] = tuple(shape)


def _tensors(value: Any, known: Mapping[int, Ids]) -> list[Any]:
    if id(value) in known:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [t for item in value for t in _tensors(item, known)]
    return []


def _is_plain(model: Any) -> bool:
    return type(model).__name__ in ("Sequential", "Functional")
