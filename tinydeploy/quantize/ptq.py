"""Post-training quantisation: a float `.tflite` and its ranges in, an integer one out.

ai-edge-quantizer rewrites the graph. What it would get wrong is prepared before and repaired
after: operators it does not know (each stands in for one with the same rule of scales), layers it
would silently leave in float, channels without weights whose bias would be lost, constants outside
the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..graph import Array
from . import aeq
from .finish import finish
from .floatmodel import FloatModel, prepare
from .ranges import Pin, pinned, unified
from .schemes import LayerScheme, Override, Scheme, layer_schemes, tensor_bits
from .statistics import Range

__all__ = ["Override", "Pin", "Range", "Scheme", "quantize"]

_WEIGHTS = {"TRANSPOSE_CONV": (2, 1, 3)}  # input, weights, bias; others are 0, 1, 2

# Half of what 32 bits hold, so that the accumulator has room beside the bias.
_LARGEST_BIAS = 1 << 30


def quantize(
    content: bytes | FloatModel,
    ranges: Mapping[str, Range],
    scheme: Scheme | None = None,
    overrides: Sequence[Override] = (),
    pins: Sequence[Pin] = (),
) -> bytes:
    """Quantises a float model.

    Args:
        content: A float `.tflite` file, or a prepared one.
        ranges: Of every float tensor that the model computes, see `calibrate`; not looked at for
            dynamic range and float16.
        scheme: int8 by default.
        overrides: Later ones win.
        pins: Ranges and scales that the user sets.

    Returns:
        The finished `.tflite` file: the same inputs give the same bytes.

    Raises:
        InputError: A layer cannot be quantised so, or a pattern matches nothing.
        RequestError: ai-edge-quantizer is missing, or fails.
    """
    model = prepare(content)
    scheme = scheme or Scheme()
    layers = layer_schemes(model, scheme, overrides)
    qsv: dict[str, dict[str, Array]] = {}
    if scheme.is_static:
        bits = tensor_bits(model, scheme, layers)
        resolved = unified(model, ranges, pinned(model, pins, bits))
        qsv = {n: _min_max(r.min, r.max) for n, r in resolved.items()}
        qsv |= _weight_ranges(model, layers, resolved)
    return finish(aeq.rewrite(model, scheme, layers, qsv), {}, label=model.label)


def _min_max(low: Array | float, high: Array | float) -> dict[str, Array]:
    # float64: a scale that was asked for comes out as it is.
    return {"min": np.asarray(low, np.float64), "max": np.asarray(high, np.float64)}


# ---- Weights --------------------------------------------------------------------------------


def _weight_ranges(
    model: FloatModel, layers: Sequence[LayerScheme], ranges: Mapping[str, Range]
) -> dict[str, dict[str, Array]]:
    """Ranges of the weights, wide enough for their bias to fit 32 bits.

    A bias is stored in units of input scale times weight scale: where a channel's weights are
    all (almost) 0, its bias would be cut off.
    """
    found: dict[str, dict[str, Array]] = {}
    for layer, own in zip(model.layers, layers, strict=True):
        if layer.op not in aeq.CHANNEL_AXIS or own.activations == "float":
            continue
        source, weights_at, bias_at = _WEIGHTS.get(layer.op, (0, 1, 2))
        weights = model.tensors[layer.inputs[weights_at]].data
        if weights is None or layer.inputs[source] not in ranges:
            continue
        axis = aeq.CHANNEL_AXIS[layer.op]
        others = tuple(d for d in range(weights.ndim) if d != axis)
        over = others if own.per_channel else None
        largest: Array = np.abs(weights.astype(np.float64)).max(axis=over, keepdims=True)
        largest[largest == 0] = largest.max() or 1.0
        name = layer.inputs[bias_at] if bias_at < len(layer.inputs) else ""
        bias = model.tensors[name].data if name else None
        if bias is not None:
            scale = _scale(ranges[layer.inputs[source]], own)
            needed = np.abs(bias.astype(np.float64)) / (_LARGEST_BIAS * scale) * 127
            shape = [1] * weights.ndim
            shape[axis] = -1
            needed = needed.reshape(shape) if own.per_channel else needed.max()
            largest = np.maximum(largest, needed)
        found[layer.inputs[weights_at]] = _min_max(-largest, largest)
    return found


def _scale(range_: Range, own: LayerScheme) -> float:
    if own.bits == 16 or own.symmetric:
        levels = (1 << (own.bits - 1)) - 1
        return max(max(abs(range_.min), abs(range_.max)), 1e-9) / levels
    return max(range_.width, 1e-9) / 255
