"""CONV_2D: int8 or int16 activations, int8 weights, one scale or one a channel, grouped or not.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflconv_2d_tflconv2dop
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall, Trail
from ..tflite.schema import Conv2DOptions
from . import conv_16x8, helium
from .base import OperatorView
from .checks import expect_shape, fused_limits, positive, runtime_input
from .convolution import (
    Axis,
    Requantization,
    ceil_to,
    channel_multipliers,
    check_bias,
    fold,
    pair_weights,
    parse_axis,
    parse_requantization,
)
from .requantization_16x8 import Requantization16x8
from .trailing import by_steps, distance_bytes

NAME = "CONV_2D"


@dataclass(frozen=True)
class Params:
    """[batches, h.size, w.size, in_c] -> [batches, h.out, w.out, out_c].

    Attributes:
        groups: Into how many equal slices the channels of input and output are cut.
    """

    batches: int
    h: Axis
    w: Axis
    in_c: int
    out_c: int
    groups: int
    requant: Requantization | Requantization16x8

    @property
    def patch(self) -> int:
        """Weights of an output channel."""
        return self.h.kernel * self.w.kernel * (self.in_c // self.groups)

    @property
    def macs(self) -> int:
        return self.batches * self.h.out * self.w.out * self.out_c * self.patch


def parse(view: OperatorView) -> Params:
    dtype = runtime_input(view, 0, DType.INT8, DType.INT16).dtype
    batches, in_h, in_w, in_c = view.input(0, rank=4).shape
    weights = view.constant(1, DType.INT8, rank=4)
    out_c, kernel_h, kernel_w, depth = weights.shape
    output = view.output(0, dtype, rank=4)
    positive(view, batches=batches, filters=out_c, filter_channels=depth, input_channels=in_c)
    slot, options = Conv2DOptions, view.options
    padding = options.int8(slot.PADDING)
    h = parse_axis(
        view,
        padding,
        (in_h, kernel_h),
        options.int32(slot.STRIDE_H),
        options.int32(slot.DILATION_H, 1),
    )
    w = parse_axis(
        view,
        padding,
        (in_w, kernel_w),
        options.int32(slot.STRIDE_W),
        options.int32(slot.DILATION_W, 1),
    )
    if in_c % depth or out_c % (in_c // depth):
        view.fail(
            f"{in_c} input channels, {depth} channels a filter and {out_c} filters make no groups"
        )
    expect_shape(view, output, (batches, h.out, w.out, out_c))
    check_bias(view, out_c)
    assert weights.data is not None
    requant = parse_requantization(
        view,
        weights.data.astype(np.int64).reshape(out_c, -1),
        fused_limits(view, slot.FUSED_ACTIVATION, output),
        channel_multipliers(view, out_c, axis=0),
        slot.QUANTIZED_BIAS_TYPE,
    )
    return Params(batches, h, w, in_c, out_c, in_c // depth, requant)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    p = params
    x, weights = inputs[0], inputs[1]
    assert x is not None
    assert weights is not None
    bias = inputs[2] if len(inputs) > 2 else None
    # Sums of float64 products are exact here: they stay far below 2**53.
    centred = x.astype(np.float64) - p.requant.in_zero_point
    padded = np.pad(centred, ((0, 0), p.h.padded, p.w.padded, (0, 0)))
    sums = np.zeros((p.batches, p.h.out, p.w.out, p.out_c))
    depth, filters = p.in_c // p.groups, p.out_c // p.groups
    wide = weights.astype(np.float64)
    for g in range(p.groups):
        channels = slice(g * depth, (g + 1) * depth)
        outputs = slice(g * filters, (g + 1) * filters)
        for ky in range(p.h.kernel):
            for kx in range(p.w.kernel):
                pixels = padded[:, p.h.window(ky), p.w.window(kx), channels]
                sums[..., outputs] += pixels @ wide[outputs, ky, kx].T
    if bias is not None:
        sums += bias.reshape(-1)
    return (p.requant.apply(sums),)


# Rows of fours are read where they lie, which saves some 200 instructions of four pixels each; a
# word of padding costs them 11 a pair of channels.
_MOST_PADDING = 36


def _row_bytes(params: Params, kernel: Kernel) -> int:
    """Weights of a row of the kernel, as they are stored."""
    exact = params.w.kernel * (params.in_c // params.groups)
    if kernel.isa is not Isa.DSP or params.groups != 1 or params.w.dilation != 1:
        return exact
    padded = ceil_to(exact, 4)
    more = params.h.kernel * _row_words(exact, padded) - ceil_to(params.patch, 4) // 2
    return padded if more * params.out_c <= _MOST_PADDING * params.h.kernel else exact


def _row_words(exact: int, padded: int) -> int:
    """Words of a row of weights and its padding; one that is only padding is left out."""
    return padded // 2 - (exact > 4 and padded == exact + 3)


def _pack(params: Params, kernel: Kernel, weights: NDArray[np.int64]) -> Constant:
    """The layouts that td_conv_2d.h asks for."""
    by_rows = weights.astype(np.int8).reshape(params.out_c, params.h.kernel, -1)
    behind = _row_bytes(params, kernel) - by_rows.shape[2]
    rows = np.pad(by_rows, ((0, 0), (0, 0), (0, behind))).reshape(params.out_c, -1)
    patch = rows.shape[1]
    if kernel.isa is Isa.MVE:
        by_columns = weights.transpose(0, 2, 1, 3).reshape(params.out_c, -1)
        return helium.weights(by_columns, params.groups)
    if kernel.isa is Isa.DSP:
        whole = np.pad(rows, ((0, 0), (0, -patch % 4)))
        left_out = 2 * (patch // params.h.kernel // 4) if _leaves_words_out(params, kernel) else 0
        return pair_weights(whole, params.groups, left_out)
    filters = params.out_c // params.groups
    blocks = np.zeros((params.groups, ceil_to(filters, 4), ceil_to(patch, 4)), np.int8)
    blocks[:, :filters, :patch] = rows.reshape(params.groups, filters, -1)
    fours = blocks.reshape(-1, 4, ceil_to(patch, 4) // 4, 4)
    return Constant("weights", fours.transpose(0, 2, 1, 3), align=4)


def _strips(params: Params) -> helium.Strips:
    return helium.Strips(params.h, params.w, params.in_c // params.groups, params.groups)


# Pixels that are spread at once where memory is short, if they take no more than this part of input
# and output: a pair of channels reads its weights once for all of them.
_SPREAD_PIXELS = 64
_SPREAD_PART = 8


def _strip(params: Params, kernel: Kernel) -> int:
    """Pixels that a kernel prepares at once."""
    if kernel.isa is Isa.MVE:
        return _strips(params).pixels
    if kernel.isa is not Isa.DSP:
        return 0
    p = params
    memory = p.h.size * p.w.size * p.in_c + p.h.out * p.w.out * p.out_c
    return min(_fours(params, kernel, memory // _SPREAD_PART), _SPREAD_PIXELS)


def _leaves_words_out(params: Params, kernel: Kernel) -> bool:
    """Whether the last word of each row of weights is 0, of which three bytes are padding."""
    exact = params.w.kernel * (params.in_c // params.groups)
    return exact > 4 and _row_bytes(params, kernel) == exact + 3


def _words(params: Params, kernel: Kernel) -> int:
    """Words of a pair of channels, and of a pixel that is spread."""
    padded = ceil_to(params.h.kernel * _row_bytes(params, kernel), 4)
    return padded // 2 - params.h.kernel * _leaves_words_out(params, kernel)


def _fours(params: Params, kernel: Kernel, spread_bytes: int) -> int:
    """Pixels that are spread into so many bytes; at least 4, and no more than there are."""
    fours = spread_bytes // (16 * _words(params, kernel))
    return 4 * max(min(fours, params.h.out * params.w.out // 4), 1)


def _scratch_bytes(params: Params, kernel: Kernel) -> int:
    if kernel.isa is Isa.MVE:
        return _strips(params).scratch_bytes
    if kernel.isa is Isa.DSP:
        return _dsp_scratch_bytes(params, kernel, _strip(params, kernel))
    patch = params.h.kernel * _row_bytes(params, kernel)
    return 4 * ceil_to(patch, 4) + 2 * patch


# From how many words, and of how many pixels at once, four channels are taken at once and their
# weights copied: `td_runs_fours`.
MANY_WORDS, MANY_PIXELS = 49, 12


def _dsp_scratch_bytes(params: Params, kernel: Kernel, strip: int) -> int:
    """Of spread pixels, one patch, and a copy of weights where many pixels want it."""
    words = _words(params, kernel)
    copied = 8 * words if words >= MANY_WORDS and strip >= MANY_PIXELS else 0
    column = ceil_to(params.h.kernel * _row_bytes(params, kernel), 4)
    if _leaves_words_out(params, kernel):
        column = max(column, 16)  # where td_spread_1 puts the words that are left out
    return 4 * words * strip + column + copied


def _in_memory(
    params: Params, kernel: Kernel, free_bytes: int
) -> tuple[Mapping[str, FieldValue], int]:
    """`KernelCall.in_memory` of the DSP kernel: all the pixels at once that there is room for."""
    words = _words(params, kernel)
    most = free_bytes - (_dsp_scratch_bytes(params, kernel, 4) - 16 * words)
    pixels = _fours(params, kernel, most)
    if words >= MANY_WORDS and pixels >= MANY_PIXELS:
        copying = _fours(params, kernel, most - 8 * words)
        pixels = max(copying, MANY_PIXELS - 4)
    return {"strip": pixels}, _dsp_scratch_bytes(params, kernel, pixels)


def _tables(
    params: Params, kernel: Kernel, requant: Requantization, folded: NDArray[np.int64]
) -> Constant:
    if kernel.isa is Isa.MVE:
        any_scale = kernel.name == MVE_ANY_SCALE.name
        return helium.tables(requant, folded, params.groups, any_scale=any_scale)
    if kernel.isa is Isa.DSP:
        return requant.pair_records(folded, params.groups)
    return requant.records(folded)


def _trails(params: Params, kernel: Kernel) -> tuple[Trail, ...]:
    """The kernels take groups and batches one after the other, and so read pixels again."""
    p = params
    if p.groups != 1 or p.batches != 1:
        return ()
    if kernel.isa is Isa.MVE:
        strips = _strips(p)
        steps, copies = strips.steps, strips.pixels > 0
    else:
        step = 4 if kernel.isa is Isa.DSP else 2
        steps, copies = by_steps(p.h.out * p.w.out, step, again=True), True
    return (Trail(0, 0, distance_bytes(p.h, p.w, (p.in_c, p.out_c), steps, copies=copies)),)


def call(
    params: Params, node: Node, kernel: Kernel, weights: Array, bias: Array | None
) -> KernelCall:
    """The call of a kernel of td_conv_2d.h.

    Args:
        weights: int8 [out_c, kernel_h, kernel_w, in_c / groups].
        bias: int32 [out_c], or None.
    """
    p, requant = params, params.requant
    assert isinstance(requant, Requantization)
    kept, folded = fold(requant, weights.astype(np.int64), bias)
    fields: dict[str, FieldValue] = {
        "batches": p.batches,
        "in_h": p.h.size,
        "in_w": p.w.size,
        "in_c": p.in_c,
        "out_h": p.h.out,
        "out_w": p.w.out,
        "out_c": p.out_c,
        "kernel_h": p.h.kernel,
        "kernel_w": p.w.kernel,
        "stride_h": p.h.stride,
        "stride_w": p.w.stride,
        "dilation_h": p.h.dilation,
        "dilation_w": p.w.dilation,
        "pad_h": p.h.pad,
        "pad_w": p.w.pad,
        "groups": p.groups,
        "row_bytes": _row_bytes(p, kernel),
        "strip": _strip(p, kernel),
        "in_zero_point": requant.in_zero_point,
        "out_zero_point": requant.out_zero_point,
        "low": requant.low,
        "high": requant.high,
        "weights": _pack(p, kernel, kept),
        "requant": _tables(p, kernel, requant, folded),
    }
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_conv_2d",
        header="td_conv_2d.h",
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        scratch_bytes=_scratch_bytes(p, kernel),
        macs=p.macs,
        trails=_trails(p, kernel),
        in_memory=partial(_in_memory, p, kernel) if kernel.isa is Isa.DSP else None,
    )


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:
    _, weights, *rest = graph.node_inputs(node)
    assert weights is not None
    assert weights.data is not None
    bias = rest[0].data if rest and rest[0] is not None else None
    p: Params = node.params
    if isinstance(p.requant, Requantization16x8):
        return conv_16x8.lower(p, node, kernel, weights.data.reshape(p.out_c, -1), bias)
    return call(p, node, kernel, weights.data, bias)


MVE = Kernel("td_s8_conv_2d__mve", Isa.MVE, lambda params: helium.applies(params.requant))
MVE_ANY_SCALE = Kernel(
    "td_s8_conv_2d_any_scale__mve",
    Isa.MVE,
    lambda params: helium.applies_any_scale(params.requant),
)
DSP = Kernel("td_s8_conv_2d__dsp", Isa.DSP, lambda params: params.requant.fast_in_pairs)
SCALAR = Kernel("td_s8_conv_2d__scalar", Isa.SCALAR, conv_16x8.is_8_bit)
KERNELS = (MVE, MVE_ANY_SCALE, DSP, SCALAR, *conv_16x8.CONVOLUTIONS)
