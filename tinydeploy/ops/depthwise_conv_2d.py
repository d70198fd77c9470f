"""DEPTHWISE_CONV_2D: int8 or int16 activations, int8 weights, any depth multiplier.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tfldepthwise_conv_2d_tfldepthwiseconv2dop
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall, Trail
from ..tflite.schema import DepthwiseConv2DOptions
from . import conv_2d, conv_16x8, helium
from .base import OperatorView
from .checks import expect_shape, fused_limits, positive, runtime_input
from .convolution import (
    Axis,
    Requantization,
    ceil_to,
    channel_multipliers,
    check_bias,
    fold,
    parse_axis,
    parse_requantization,
)
from .depthwise_strips import Way, is_little, ways
from .requantization_16x8 import Requantization16x8
from .trailing import by_steps, distance_bytes

NAME = "DEPTHWISE_CONV_2D"


@dataclass(frozen=True)
class Params:
    """[batches, h.size, w.size, in_c] -> [batches, h.out, w.out, out_c].

    Input channel i makes output channels i * m to i * m + m - 1, with m = out_c / in_c.
    """

    batches: int
    h: Axis
    w: Axis
    in_c: int
    out_c: int
    requant: Requantization | Requantization16x8

    @property
    def taps(self) -> int:
        """Weights of an output channel."""
        return self.h.kernel * self.w.kernel

    @property
    def macs(self) -> int:
        return self.batches * self.h.out * self.w.out * self.out_c * self.taps


def parse(view: OperatorView) -> Params:
    dtype = runtime_input(view, 0, DType.INT8, DType.INT16).dtype
    batches, in_h, in_w, in_c = view.input(0, rank=4).shape
    weights = view.constant(1, DType.INT8, rank=4)
    one, kernel_h, kernel_w, out_c = weights.shape
    output = view.output(0, dtype, rank=4)
    positive(view, batches=batches, input_channels=in_c)
    slot, options = DepthwiseConv2DOptions, view.options
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
    multiplier = options.int32(slot.DEPTH_MULTIPLIER)
    if one != 1 or multiplier < 1 or in_c * multiplier != out_c:
        view.fail(
            f"{in_c} input channels with depth multiplier {multiplier} do not make the weights' "
            f"{out_c} channels"
        )
    expect_shape(view, output, (batches, h.out, w.out, out_c))
    check_bias(view, out_c)
    assert weights.data is not None
    requant = parse_requantization(
        view,
        weights.data.astype(np.int64).reshape(-1, out_c).T,
        fused_limits(view, slot.FUSED_ACTIVATION, output),
        channel_multipliers(view, out_c, axis=3),
        bias_type_slot=None,
    )
    return Params(batches, h, w, in_c, out_c, requant)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    p = params
    x, weights = inputs[0], inputs[1]
    assert x is not None
    assert weights is not None
    bias = inputs[2] if len(inputs) > 2 else None
    centred = np.repeat(x.astype(np.int64), p.out_c // p.in_c, axis=3) - p.requant.in_zero_point
    padded = np.pad(centred, ((0, 0), p.h.padded, p.w.padded, (0, 0)))
    sums = np.zeros((p.batches, p.h.out, p.w.out, p.out_c), np.int64)
    for ky in range(p.h.kernel):
        for kx in range(p.w.kernel):
            sums += padded[:, p.h.window(ky), p.w.window(kx)] * weights[0, ky, kx].astype(np.int64)
    if bias is not None:
        sums += bias.reshape(-1)
    return (p.requant.apply(sums),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:
    p: Params = node.params
    _, weights, *rest = graph.node_inputs(node)
    assert weights is not None
    assert weights.data is not None
    bias = rest[0].data if rest and rest[0] is not None else None
    by_channel = np.moveaxis(weights.data[0], 2, 0)
    if isinstance(p.requant, Requantization16x8):
        layer = conv_2d.Params(p.batches, p.h, p.w, p.in_c, p.out_c, p.in_c, p.requant)
        return conv_16x8.lower(layer, node, kernel, by_channel.reshape(p.out_c, -1), bias)
    if kernel in _CONVOLUTIONS:
        one_channel = conv_2d.Params(p.batches, p.h, p.w, 1, p.out_c, 1, p.requant)
        return conv_2d.call(one_channel, node, kernel, by_channel[..., np.newaxis], bias)
    kept, folded = fold(p.requant, by_channel.astype(np.int64), bias)
    transposed = _transposed(p, kernel)
    fields: dict[str, FieldValue] = {
        "batches": p.batches,
        **_sizes(p, transposed),
        "in_zero_point": p.requant.in_zero_point,
        "out_zero_point": p.requant.out_zero_point,
        "low": p.requant.low,
        "high": p.requant.high,
        "weights": _pack(p, kernel, kept, transposed),
        "requant": _tables(p.requant, kernel, folded),
    }
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_depthwise_conv_2d",
        header="td_depthwise_conv_2d.h",
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        scratch_bytes=_scratch_bytes(p, kernel),
        macs=p.macs,
        trails=_trails(p, kernel),
        in_memory=partial(_in_memory, p, kernel, kept) if kernel in DSP_STRIPS else None,
    )


def _sizes(params: Params, transposed: bool) -> dict[str, FieldValue]:
    h, w = (params.w, params.h) if transposed else (params.h, params.w)
    return {
        "in_h": h.size,
        "in_w": w.size,
        "in_c": params.in_c,
        "out_h": h.out,
        "out_w": w.out,
        "out_c": params.out_c,
        "kernel_h": h.kernel,
        "kernel_w": w.kernel,
        "stride_h": h.stride,
        "stride_w": w.stride,
        "dilation_h": h.dilation,
        "dilation_w": w.dilation,
        "pad_h": h.pad,
        "pad_w": w.pad,
        "transposed": int(transposed),
    }


def _in_memory(
    params: Params, kernel: Kernel, weights: NDArray[np.int64], free_bytes: int
) -> tuple[Mapping[str, FieldValue], int]:
    """`KernelCall.in_memory` of the kernels for strips: the faster way of those that fit."""
    ways = _ways(params)
    fitting = [way for way in ways if way.scratch_bytes <= free_bytes] or ways[:1]
    way = min(fitting, key=lambda way: way.cycles)
    packed = _pack(params, kernel, weights, way.transposed)
    return {**_sizes(params, way.transposed), "weights": packed}, way.scratch_bytes


def _pack(params: Params, kernel: Kernel, weights: NDArray[np.int64], transposed: bool) -> Constant:
    """As td_depthwise_conv_2d.h has them, from [out_c, taps]."""
    rows = weights.astype(np.int8).reshape(params.out_c, params.taps)
    if kernel.isa is Isa.SCALAR:
        return Constant("weights", rows.T, align=1)
    if kernel is MVE_3X3:
        return helium.tiles(rows)
    if kernel is MVE_LINE:
        return helium.lines(rows)
    if kernel.isa is Isa.MVE:
        return helium.by_eights(rows)
    if kernel in DSP_STRIPS:
        lines = rows.reshape(-1, 3, 3)
        if transposed:
            lines = lines.transpose(0, 2, 1)
        return Constant("weights", np.ascontiguousarray(lines[..., [0, 1, 1, 2]]), align=4)
    if kernel is DSP_LINE:
        end = 2 * (params.taps // 2) + 2
        padded = np.pad(rows, ((0, 0), (1, end - params.taps)))
        places = np.arange(1, end, 2)[:, np.newaxis] + [0, -1, 1, 0]
        return Constant("weights", padded[:, places], align=4)
    quads = rows.reshape(-1, 4, params.taps).transpose(0, 2, 1)
    return Constant("weights", quads, align=4)


def _tables(requant: Requantization, kernel: Kernel, folded: NDArray[np.int64]) -> Constant:
    if kernel.isa is Isa.MVE:
        any_scale = kernel is MVE_ANY_SCALE
        bias, rows = helium.requantization(requant, folded, any_scale=any_scale)
        if kernel in (MVE_3X3, MVE_LINE):
            return Constant("requant", np.column_stack([bias, rows[:, ::-1]]))
        return Constant("requant", helium.evens_and_odds(np.column_stack([bias, rows])))
    if kernel is DSP_3X3:
        fours = requant.fast_records(folded).data.reshape(-1, 4, 4)
        parts = [fours[..., 0], fours[..., 1:].reshape(-1, 12)]
        return Constant("requant", np.concatenate(parts, axis=1), align=8)
    return requant.fast_records(folded) if kernel.isa is Isa.DSP else requant.records(folded)


def _scratch_bytes(params: Params, kernel: Kernel) -> int:
    if kernel in DSP_STRIPS:
        return _ways(params)[0].scratch_bytes
    columns = params.h.out if _transposed(params, kernel) else params.w.out
    if kernel is MVE_3X3:
        stride = params.w.stride
        return helium.TILE_COLUMN_BYTES * (stride * ceil_to(columns, 2 * stride) + 2)
    if kernel is MVE_LINE:
        return ceil_to(columns, 4) + 12
    if kernel is DSP_LINE:
        return 16 * (ceil_to(columns, 6) // 2 + params.taps // 2 + 1)
    return 21 * params.in_c if kernel is DSP_3X3 else 8 * params.taps + params.in_c


def _trails(params: Params, kernel: Kernel) -> tuple[Trail, ...]:
    """The output over the input: channels that a step writes are those that it has read.

    That is so where channel i makes channel i, and lies below another pixel's channel i: a whole
    number of pixels below. Elsewhere a step may read what it has written for channels before.
    """
    p = params
    if p.batches != 1:
        return ()
    if kernel in _BY_CHANNELS:
        # They have read what they write over, even from the same address on, but those that go from
        # column to column only columns below the same columns.
        columns = _transposed(p, kernel)
        if kernel in DSP_STRIPS:
            columns = any(way.by_columns for way in _ways(p))
        return (Trail(0, 0, 0, multiple=(p.w.size if columns else 1) * p.in_c),)
    steps = by_steps(p.h.out * p.w.out, 1, again=False)
    if kernel is MVE_3X3:
        lines = 2 if p.h.stride == 1 else 1
        first = np.arange(0, p.h.out, lines)
        steps = np.stack([first, np.minimum(first + lines, p.h.out)], axis=1) * p.w.out
    own = p.in_c == p.out_c
    distance = distance_bytes(p.h, p.w, (p.in_c, p.out_c), steps, copies=own)
    return (Trail(0, 0, distance, multiple=p.in_c if own else 1),)


def _by_fours(params: Params) -> bool:
    return params.in_c == params.out_c and params.in_c % 4 == 0 and params.requant.fast


def _3x3(params: Params) -> bool:
    plain = all(axis.kernel == 3 and axis.dilation == 1 for axis in (params.h, params.w))
    before, after = params.w.padded
    narrow = before <= 1 and after <= 1 and params.w.size >= 2
    return plain and narrow and _by_fours(params)


def _strips(params: Params, stride: int) -> bool:
    h, w = params.h, params.w
    square = all(axis.kernel == 3 and axis.dilation == 1 for axis in (h, w))
    narrow = all(edge <= 1 for axis in (h, w) for edge in axis.padded)
    plain = square and narrow and h.stride == w.stride == stride and _by_fours(params)
    return plain and h.out > 1 and w.out > 1 and len(_ways(params)) > 0


def _ways(params: Params) -> list[Way]:
    return ways(params.h, params.w, params.in_c)


def _transposed(params: Params, kernel: Kernel) -> bool:
    """Whether rows and columns change their names."""
    if kernel in (DSP_LINE, MVE_LINE):
        return params.h.kernel > 1
    return kernel in DSP_STRIPS and _ways(params)[0].transposed


def _line(params: Params, outputs: int) -> bool:
    """Whether at least so many outputs of a line share its weights."""
    h, w = params.h, params.w
    along, across = (h, w) if h.kernel > 1 else (w, h)
    plain = along.kernel > across.kernel == 1 and along.dilation == 1
    return plain and along.out >= outputs and h.stride == w.stride == 1


def _dsp_line(params: Params) -> bool:
    little = is_little(_scratch_bytes(params, DSP_LINE), (params.h, params.w), params.in_c)
    return _line(params, 3) and _by_fours(params) and little


def _mve_line(params: Params) -> bool:
    near = 7 * params.w.size * params.in_c < 1 << 16  # 16-bit distances
    return _line(params, 8) and params.taps <= 13 and near and _by_eights(params)


def _tiles(params: Params) -> bool:
    axes = (params.h, params.w)
    plain = all(axis.kernel == 3 and axis.dilation == 1 for axis in axes)
    strides = {axis.stride for axis in axes} in ({1}, {2})
    return plain and strides and _by_eights(params)


def _by_eights(params: Params) -> bool:
    return params.in_c == params.out_c and helium.applies(params.requant)


def _one_channel(params: Params) -> bool:
    return params.in_c == 1 and conv_16x8.is_8_bit(params)


# With one input channel it is an ordinary convolution.
CONV_DSP = Kernel(
    conv_2d.DSP.name, Isa.DSP, lambda params: _one_channel(params) and params.requant.fast_in_pairs
)
CONV_MVE = Kernel(
    conv_2d.MVE.name,
    Isa.MVE,
    lambda params: _one_channel(params) and helium.applies(params.requant),
)
CONV_SCALAR = Kernel(conv_2d.SCALAR.name, Isa.SCALAR, _one_channel)
CONV_MVE_ANY_SCALE = Kernel(
    conv_2d.MVE_ANY_SCALE.name,
    Isa.MVE,
    lambda params: _one_channel(params) and helium.applies_any_scale(params.requant),
)
_CONVOLUTIONS = (CONV_MVE, CONV_MVE_ANY_SCALE, CONV_DSP, CONV_SCALAR)
MVE_3X3 = Kernel("td_s8_depthwise_conv_2d_3x3__mve", Isa.MVE, _tiles)
MVE_LINE = Kernel("td_s8_depthwise_conv_2d_line__mve", Isa.MVE, _mve_line, large=True)
MVE = Kernel("td_s8_depthwise_conv_2d__mve", Isa.MVE, _by_eights)
MVE_ANY_SCALE = Kernel(
    "td_s8_depthwise_conv_2d_any_scale__mve",
    Isa.MVE,
    lambda params: params.in_c == params.out_c and helium.applies_any_scale(params.requant),
)
DSP_3X3 = Kernel("td_s8_depthwise_conv_2d_3x3__dsp", Isa.DSP, _3x3, large=True)
DSP_ROWS = Kernel(
    "td_s8_depthwise_conv_2d_3x3_rows__dsp", Isa.DSP, partial(_strips, stride=1), large=True
)
DSP_STRIDE_2 = Kernel(
    "td_s8_depthwise_conv_2d_3x3_stride_2__dsp", Isa.DSP, partial(_strips, stride=2), large=True
)
DSP_LINE = Kernel("td_s8_depthwise_conv_2d_line__dsp", Isa.DSP, _dsp_line, large=True)
DSP_STRIPS = (DSP_ROWS, DSP_STRIDE_2)
# Those that finish some channels before they begin the next.
_BY_CHANNELS = (*DSP_STRIPS, DSP_LINE, MVE_LINE)
DSP = Kernel("td_s8_depthwise_conv_2d__dsp", Isa.DSP, _by_fours)
SCALAR = Kernel("td_s8_depthwise_conv_2d__scalar", Isa.SCALAR, conv_16x8.is_8_bit)
KERNELS = (
    CONV_MVE,
    CONV_MVE_ANY_SCALE,
    MVE_3X3,
    MVE_LINE,
    MVE,
    MVE_ANY_SCALE,
    CONV_DSP,
    DSP_ROWS,
    DSP_STRIDE_2,
    DSP_3X3,
    DSP_LINE,
    DSP,
    CONV_SCALAR,
    SCALAR,
    conv_16x8.DEPTHWISE_MVE,
    conv_16x8.DEPTHWISE,
    conv_16x8.CONV_WIDE,
)
