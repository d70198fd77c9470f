"""From measured ranges to those that the operators allow: what shares a scale gets one range.

Source:
    TensorFlow Lite 8-bit quantization specification
    (https://www.tensorflow.org/lite/performance/quantization_spec).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from ..errors import InputError
from ..tflite.tensors import printable
from .floatmodel import FloatModel, Layer
from .statistics import Range

_MOVERS = """
RESHAPE AVERAGE_POOL_2D MAX_POOL_2D PAD MIRROR_PAD TRANSPOSE SLICE STRIDED_SLICE GATHER GATHER_ND
SQUEEZE EXPAND_DIMS RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR UNPACK SPACE_TO_DEPTH DEPTH_TO_SPACE
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND BROADCAST_TO REDUCE_MIN REDUCE_MAX SPLIT_V REVERSE_V2
RELU6 RELU_N1_TO_1 RELU_0_TO_1
"""

# Operators that only move or choose values: their output has the scale of this input.
SAME_AS_INPUT: Mapping[str, int] = MappingProxyType(
    {**dict.fromkeys(_MOVERS.split(), 0), "SPLIT": 1}
)

# TFLite Micro's kernels of these cut values off and leave the scale alone. What their input has
# outside the output's range is cut off in either case.
_CLAMPS = frozenset(["RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"])

# Operators whose inputs must have the scale of their output.
SAME_AS_OUTPUT = frozenset(
    {
        *("CONCATENATION", "PACK", "MAXIMUM", "MINIMUM", "SELECT", "SELECT_V2", "PADV2"),
        "DYNAMIC_UPDATE_SLICE",
    }
)

# Operators whose kernels have their output's scale built in.
FIXED: Mapping[str, Range] = MappingProxyType(
    {"SOFTMAX": Range(0, 1), "LOGISTIC": Range(0, 1), "TANH": Range(-1, 1)}
)

# An input much narrower than its fellows keeps its own range: a QUANTIZE costs less than accuracy.
_WIDENS_AT_MOST = 4.0


@dataclass(frozen=True)
class Pin:
    """A range that the user sets.

    Attributes:
        pattern: A tensor's name, or a pattern with * and ?.
        range: What its values reach; None where `scale` is given.
        scale, zero_point: Of the stored type; must match exactly one tensor.
    """

    pattern: str
    range: Range | None = None
    scale: float = 0.0
    zero_point: int = 0


def matching(pattern: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that a pattern means: an exact one first, then * and ?.

    What converters put around a name may be left out: "image" is "serving_default_image:0".
    """
    known = tuple(names)
    if pattern in known:
        return (pattern,)
    return tuple(
        name for name in known if fnmatchcase(name, pattern) or fnmatchcase(_plain(name), pattern)
    )


def _plain(name: str) -> str:
    return name.removeprefix("serving_default_").partition(":")[0]


def closest(pattern: str, names: Iterable[str]) -> str:
    """A hint at what may have been meant."""
    known = list(names)
    near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.3) or known[:3]
    return f"such as {', '.join(printable(name, 80) for name in near)}"


def pinned(model: FloatModel, pins: Sequence[Pin], bits: Mapping[str, int]) -> Mapping[str, Range]:
    """The ranges that the user sets, by the tensor that decides: an input of a RESHAPE for it.

    Raises:
        InputError: A pattern matches nothing, or a tensor whose scale its operator has built in;
            or two pins contradict each other.
    """
    chosen: dict[str, tuple[Range, str]] = {}
    for pin in pins:
        names = matching(pin.pattern, model.activations)
        if not names:
            raise InputError(
                f"no tensor of {model.label} is called {printable(pin.pattern)}",
                closest(pin.pattern, model.activations),
            )
        if pin.range is None and len(names) > 1:
            raise InputError(
                f"a scale is for one tensor, {printable(pin.pattern)} matches {len(names)}",
                closest(pin.pattern, names),
            )
        for name in names:
            root = deciding(model, name)
            maker = model.producer(root)
            if maker and maker.op in FIXED:
                raise InputError(
                    f"{printable(name)} comes from {maker}, whose scale TFLite fixes",
                    "set the range of its input",
                )
            wanted = pin.range or _of_scale(pin, bits.get(name, 8))
            before = chosen.get(root)
            if before and before[0] != wanted:
                raise InputError(
                    f"{printable(name)} and {printable(before[1])} share a scale, and are given "
                    f"[{wanted.min:g}, {wanted.max:g}] and [{before[0].min:g}, {before[0].max:g}]"
                )
            chosen[root] = (wanted, name)
    return MappingProxyType({name: range_ for name, (range_, _) in chosen.items()})


def _of_scale(pin: Pin, bits: int) -> Range:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if not low <= pin.zero_point <= high or (bits == 16 and pin.zero_point):
        kind = f"int{bits}"
        allowed = "0" if bits == 16 else f"{low} to {high}"
        raise InputError(
            f"the zero point of {printable(pin.pattern)} is {pin.zero_point}, {kind} allows "
            f"{allowed}"
        )
    return Range.of_scale(pin.scale, pin.zero_point, bits)


def deciding(model: FloatModel, tensor: str) -> str:
    """The tensor whose range decides this one's: through operators that only move values."""
    while (layer := model.producer(tensor)) and layer.op in SAME_AS_INPUT:
        source = layer.inputs[SAME_AS_INPUT[layer.op]]
        if model.tensors[source].data is not None:
            break
        tensor = source
    return tensor


def unified(
    model: FloatModel, ranges: Mapping[str, Range], pins: Mapping[str, Range]
) -> Mapping[str, Range]:
    """Every activation's range, so that no operator that shares a scale has two.

    Args:
        model: The float model.
        ranges: As measured.
        pins: Set by the user, see `pinned()`.
    """
    roots = {name: deciding(model, name) for name in model.activations}
    of_root = {root: ranges[root] for root in dict.fromkeys(roots.values())}
    for layer in model.layers:
        if layer.op in FIXED and layer.name in of_root:
            of_root[layer.name] = FIXED[layer.op]
    for layer in model.layers:
        source = layer.inputs[0] if layer.op in _CLAMPS else ""
        readers = sum(name == source for other in model.layers for name in other.inputs)
        if source and roots.get(source) == source and readers == 1:
            of_root[source] = ranges[layer.name]
    of_root.update(pins)
    fixed = set(pins) | {layer.name for layer in model.layers if layer.op in FIXED}
    # Twice: a concatenation may feed another one, and the other way round.
    for layer in (*model.layers, *reversed(model.layers)):
        if layer.op in SAME_AS_OUTPUT:
            _share(model, layer, roots, of_root, fixed)
    return MappingProxyType({name: of_root[root] for name, root in roots.items()})


def _share(
    model: FloatModel,
    layer: Layer,
    roots: Mapping[str, str],
    of_root: dict[str, Range],
    fixed: set[str],
) -> None:
    """Gives an operator's output and those inputs that it does not harm one range."""
    output = layer.name
    inputs = dict.fromkeys(
        roots[name] for name in layer.inputs if name in roots and model.tensors[name].data is None
    )
    if output not in fixed:
        for root in inputs:
            of_root[output] = of_root[output].hull(of_root[root])
    shared = of_root[output]
    for root in inputs:
        if root not in fixed and shared.width <= _WIDENS_AT_MOST * of_root[root].width:
            of_root[root] = shared
