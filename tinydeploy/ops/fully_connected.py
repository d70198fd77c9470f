"""FULLY_CONNECTED: int8 or int16 activations of any rank, int8 weights, one scale or one a channel.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflfully_connected_tflfullyconnectedop
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import quantize_multiplier
from ..graph import Array, DType, Graph, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall
from ..tflite.schema import FullyConnectedOptions
from . import conv_2d, conv_16x8, helium
from .base import OperatorView
from .checks import fused_limits, positive, runtime_input
from .convolution import (
    Axis,
    Requantization,
    ceil_to,
    channel_multipliers,
    check_bias,
    fold,
    parse_requantization,
)
from .requantization_16x8 import Requantization16x8

NAME = "FULLY_CONNECTED"

# What TFLite allows the bias' scale to differ from input scale * weight scale, in output steps.
_BIAS_TOLERANCE = 0.02


@dataclass(frozen=True)
class Params:
    """[batches, in_depth] -> [batches, out_depth].

    Attributes:
        weights_zero_point: 0 unless the weights have a single scale.
        out_shape: The output's, of any rank.
        narrow: No weight is stored as -128.
    """

    batches: int
    in_depth: int
    out_depth: int
    weights_zero_point: int
    out_shape: tuple[int, ...]
    narrow: bool
    requant: Requantization | Requantization16x8

    @property
    def macs(self) -> int:
        return self.batches * self.in_depth * self.out_depth


def parse(view: OperatorView) -> Params:
    source = runtime_input(view, 0, DType.INT8, DType.INT16)
    weights = view.constant(1, DType.INT8, rank=2)
    output = view.output(0, source.dtype)
    out_depth, in_depth = weights.shape
    positive(view, input_depth=in_depth, output_depth=out_depth)
    slot = FullyConnectedOptions
    if view.options.int8(slot.WEIGHTS_FORMAT) != 0:
        view.fail("the weights are shuffled, supported is the default format")
    batches = output.elements // out_depth
    if batches < 1 or output.shape[-1:] != (out_depth,) or source.elements != batches * in_depth:
        view.fail(
            f"weights {list(weights.shape)} do not make {list(output.shape)} "
            f"of {list(source.shape)}"
        )
    check_bias(view, out_depth)
    multipliers, zero_point = _multipliers(view, out_depth)
    if zero_point and source.dtype is DType.INT16:
        view.fail(f"the weights have zero point {zero_point}, supported with int16 is 0")
    assert weights.data is not None
    requant = parse_requantization(
        view,
        weights.data.astype(np.int64) - zero_point,
        fused_limits(view, slot.FUSED_ACTIVATION, output),
        multipliers,
        slot.QUANTIZED_BIAS_TYPE,
    )
    narrow = bool(weights.data.min() > -128)
    return Params(batches, in_depth, out_depth, zero_point, output.shape, narrow, requant)


def _multipliers(view: OperatorView, channels: int) -> tuple[list[tuple[int, int]], int]:
    """((multiplier, shift) of each channel, the weights' zero point)."""
    weights = view.input(1)
    if weights.quantization is not None and len(weights.quantization.scales) > 1:
        return channel_multipliers(view, channels, axis=0), 0
    in_scale, _ = view.per_tensor(view.input(0))
    scale, zero_point = view.per_tensor(weights)
    out_scale, _ = view.per_tensor(view.output(0))
    bias = view.optional(2)
    if bias is not None:
        bias_scale = bias.quantization.scales[0] if bias.quantization else 0.0
        if abs(in_scale * scale - bias_scale) / out_scale > _BIAS_TOLERANCE:
            view.fail(
                f"the bias has scale {bias_scale:g}, its input and weights make "
                f"{in_scale * scale:g}"
            )
    split = quantize_multiplier(in_scale * scale / out_scale)
    return [split] * channels, zero_point


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    p = params
    x, weights = inputs[0], inputs[1]
    assert x is not None
    assert weights is not None
    bias = inputs[2] if len(inputs) > 2 else None
    centred = x.reshape(p.batches, p.in_depth).astype(np.float64) - p.requant.in_zero_point
    sums = centred @ (weights.astype(np.float64) - p.weights_zero_point).T
    if bias is not None:
        sums += bias.reshape(-1)
    return (p.requant.apply(sums).reshape(p.out_shape),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:
    p: Params = node.params
    _, weights, *rest = graph.node_inputs(node)
    assert weights is not None
    assert weights.data is not None
    bias = rest[0].data if rest and rest[0] is not None else None
    if isinstance(p.requant, Requantization16x8):
        return conv_16x8.lower(_as_convolution(p, p.requant), node, kernel, weights.data, bias)
    if kernel in _CONVOLUTIONS:
        layer = _as_convolution(p, p.requant)
        filters = weights.data.reshape(p.out_depth, 1, 1, p.in_depth)
        return conv_2d.call(layer, node, kernel, filters, bias)
    requant = _requantization(p.requant)
    kept, folded = fold(requant, weights.data.astype(np.int64) - p.weights_zero_point, bias)
    stored = (kept + p.weights_zero_point).astype(np.int8)
    start, rows = _tables(requant, folded, kernel)
    if kernel is SCALAR:
        start = (start - 128 * kept.sum(axis=1)).astype(np.int32)
    shared = bool((rows == rows[0]).all())
    fields: dict[str, FieldValue] = {
        "batches": p.batches,
        "in_depth": p.in_depth,
        "out_depth": p.out_depth,
        "weights_zero_point": p.weights_zero_point,
        "out_zero_point": p.requant.out_zero_point,
        "low": p.requant.low,
        "high": p.requant.high,
        "requant_step": 0 if shared else rows.shape[1],
        "weights": _pack_eights(stored, start) if kernel is EIGHTS else _pack(stored, kernel),
        "folded": None if kernel is EIGHTS else Constant("bias", start),
        "requant": Constant("requant", rows[:1] if shared else rows),
    }
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_fully_connected",
        header="td_fully_connected.h",
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        scratch_bytes=_scratch_bytes(p, kernel),
        macs=p.macs,
    )


def _as_convolution(p: Params, requant: Requantization | Requantization16x8) -> conv_2d.Params:
    """A convolution of 1 x 1; the batches are the pixels of a row."""
    h, w = (Axis(size, size, kernel=1, stride=1, dilation=1, pad=0) for size in (1, p.batches))
    return conv_2d.Params(1, h, w, p.in_depth, p.out_depth, 1, requant)


def _requantization(given: Requantization) -> Requantization:
    """With one scale for all: one record is worth more than to leave out what is fixed."""
    uniform = len(set(zip(given.multipliers, given.shifts, strict=True))) == 1
    return given.without_bounds() if uniform and given.shifts[0] < 0 else given


def _tables(
    requant: Requantization, folded: NDArray[np.int64], kernel: Kernel
) -> tuple[Array, Array]:
    """(where sums start, rows of what comes after), one a channel or, with Helium, four."""
    if kernel.isa is Isa.MVE:
        any_scale = kernel is MVE_ANY_SCALE
        bias, rows = helium.requantization(requant, folded, any_scale=any_scale)
        return helium.by_fours(bias[:, np.newaxis]).reshape(-1), helium.rows_by_fours(rows)
    fast = kernel.isa is Isa.DSP
    table = (requant.fast_records(folded) if fast else requant.records(folded)).data
    return table[:, 0], table[:, 1:]


def _scratch_bytes(p: Params, kernel: Kernel) -> int:
    if kernel.isa is Isa.MVE and p.in_depth % helium.PRODUCTS:
        return helium.padded_bytes(p.in_depth)
    return 0


def _helium(p: Params) -> bool:
    requant = p.requant
    if isinstance(requant, Requantization16x8) or p.weights_zero_point:
        return False
    return helium.applies(_requantization(requant))


def _helium_any_scale(p: Params) -> bool:
    return not p.weights_zero_point and helium.applies_any_scale(p.requant)


def _eights(p: Params) -> bool:
    requant = p.requant
    if isinstance(requant, Requantization16x8) or p.weights_zero_point:
        return False
    limit = 1 << 23
    narrow_sums = min(requant.lowest) >= -limit and max(requant.highest) < limit
    uniform = len(set(zip(requant.multipliers, requant.shifts, strict=True))) == 1
    whole = p.in_depth % 8 == p.out_depth % 8 == 0
    unclamped = (requant.low, requant.high) == (-128, 127)
    fits = p.narrow and narrow_sums
    return whole and uniform and unclamped and fits and requant.shifts[0] < 0


def _pair_starts(folded: Array, weights: Array) -> Array:
    """Where the two sums of each pair start: see td_s8_fully_connected_eights__dsp."""
    a, b = folded[0::2].astype(np.int64), folded[1::2].astype(np.int64)
    first = weights[0::2].astype(np.int64)
    products = (first[:, 0::2] * first[:, 1::2]).sum(axis=1)
    return np.stack([a - products, a + 256 * b], axis=1).astype(np.int32)


def _pack(weights: Array, kernel: Kernel) -> Constant:
    """The layouts that td_fully_connected.h asks for."""
    if kernel.isa is Isa.MVE:
        return helium.weights(weights)
    if kernel.isa is Isa.DSP:
        return _pack_pairs(_blocks(weights, 4))
    above = (_blocks(weights, 4)[..., ::-1].astype(np.int16) + 128).astype(np.uint8)
    return Constant("weights", above.transpose(0, 2, 1, 3).view(np.int8), align=4)


def _blocks(weights: Array, run: int) -> Array:
    """int8 [ceil(out_depth / 4), 4, ceil(in_depth / run), run], zeros where there is none."""
    channels, depth = weights.shape
    padded = np.zeros((ceil_to(channels, 4), ceil_to(depth, run)), np.int8)
    padded[:channels, :depth] = weights
    return padded.reshape(ceil_to(channels, 4) // 4, 4, -1, run)


def _pack_pairs(blocks: Array) -> Constant:
    """int16 a + 256 b of channels a and b, in bytes: [fours, quads, 2, 2, 2, 2]."""
    wide = blocks.astype(np.int16).reshape(len(blocks), 2, 2, blocks.shape[2], 2, 2)
    fours, pair, member, quad, step, parity = range(6)
    wide = wide.transpose(fours, quad, pair, parity, step, member)
    both = np.ascontiguousarray(wide[..., 0] + 256 * wide[..., 1], dtype="<i2")
    return Constant("weights", both.view(np.int8), align=4)


def _pack_eights(weights: Array, folded: Array) -> Constant:
    """Of eight channels each: where their sums start, int16 a + 256 b of channels a and b."""
    channels, depth = weights.shape
    split = weights.reshape(channels // 8, 4, 2, depth // 4, 2, 2)
    eight, pair, member, quad, step, parity = range(6)
    ordered = split.transpose(eight, quad, pair, parity, step, member).astype(np.int16)
    both = ordered[..., ::-1, :, 0] + 256 * ordered[..., ::-1, :, 1]
    words = np.ascontiguousarray(both, dtype="<i2").view("<i4").reshape(channels // 8, -1)
    starts = _pair_starts(folded, weights).reshape(channels // 8, 8)
    return Constant("weights", np.hstack([starts, words]).astype("<i4").view(np.int8), align=8)


MVE = Kernel("td_s8_fully_connected__mve", Isa.MVE, _helium)
MVE_ANY_SCALE = Kernel("td_s8_fully_connected_any_scale__mve", Isa.MVE, _helium_any_scale)
EIGHTS = Kernel("td_s8_fully_connected_eights__dsp", Isa.DSP, _eights, large=True)
DSP = Kernel(
    "td_s8_fully_connected__dsp", Isa.DSP, lambda params: params.requant.fast and params.narrow
)
SCALAR = Kernel("td_s8_fully_connected__scalar", Isa.SCALAR, conv_16x8.is_8_bit)
CONV_DSP = Kernel(
    conv_2d.DSP.name,
    Isa.DSP,
    lambda params: not params.weights_zero_point and conv_2d.DSP.applies(params),
    borrowed=True,
)
CONV_SCALAR = Kernel(
    conv_2d.SCALAR.name,
    Isa.SCALAR,
    lambda params: not params.weights_zero_point and conv_2d.SCALAR.applies(params),
    borrowed=True,
)
_CONVOLUTIONS = (CONV_DSP, CONV_SCALAR)
KERNELS = (MVE, MVE_ANY_SCALE, EIGHTS, DSP, SCALAR, *conv_16x8.CONVOLUTIONS, *_CONVOLUTIONS)
