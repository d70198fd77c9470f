"""Calls of the kernels for int16 activations with int8 weights, shared by CONV_2D,
DEPTHWISE_CONV_2D and FULLY_CONNECTED: all of them are convolutions in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Array, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall, Trail
from . import helium
from .convolution import ceil_to
from .requantization_16x8 import Requantization16x8
from .trailing import by_steps, distance_bytes

if TYPE_CHECKING:
    from .conv_2d import Params


def is_16x8(params: Any) -> bool:
    """Whether an operator with these `Params` has int16 activations."""
    return isinstance(params.requant, Requantization16x8)


def is_8_bit(params: Any) -> bool:
    return not is_16x8(params)


def is_narrow(params: Any) -> bool:
    """Whether sums of 32 bits do."""
    requant = params.requant
    return isinstance(requant, Requantization16x8) and requant.is_narrow


def _rounds_once(params: Any) -> bool:
    return is_narrow(params) and params.requant.wide


CONV_MVE = Kernel("td_s16_conv_2d__mve", Isa.MVE, _rounds_once)
CONV_DSP = Kernel("td_s16_conv_2d__dsp", Isa.DSP, is_narrow)
CONV = Kernel("td_s16_conv_2d__scalar", Isa.SCALAR, is_narrow)
CONV_WIDE = Kernel(
    "td_s16_conv_2d_wide__scalar", Isa.SCALAR, lambda p: is_16x8(p) and p.requant.wide
)
DEPTHWISE_MVE = Kernel(
    "td_s16_depthwise_conv_2d__mve", Isa.MVE, lambda p: p.in_c == p.out_c and _rounds_once(p)
)
DEPTHWISE = Kernel("td_s16_depthwise_conv_2d__scalar", Isa.SCALAR, is_narrow)
CONVOLUTIONS = (CONV_MVE, CONV_DSP, CONV, CONV_WIDE)


def lower(
    layer: Params, node: Node, kernel: Kernel, weights: Array, bias: Array | None
) -> KernelCall:
    """The call of a kernel of td_conv_16x8.h.

    Args:
        weights: int8 [out_c, patch].
        bias: int32 or int64 [out_c], or None.
    """
    h, w, requant = layer.h, layer.w, layer.requant
    assert isinstance(requant, Requantization16x8)
    fields: dict[str, FieldValue] = {
        "batches": layer.batches,
        "in_h": h.size,
        "in_w": w.size,
        "in_c": layer.in_c,
        "out_h": h.out,
        "out_w": w.out,
        "out_c": layer.out_c,
        "kernel_h": h.kernel,
        "kernel_w": w.kernel,
        "stride_h": h.stride,
        "stride_w": w.stride,
        "dilation_h": h.dilation,
        "dilation_w": w.dilation,
        "pad_h": h.pad,
        "pad_w": w.pad,
        "low": requant.low,
        "high": requant.high,
        "weights": _pack(layer, kernel, weights),
        "requant": _tables(layer, kernel, bias),
    }
    struct = "td_conv_16x8"
    if kernel is DEPTHWISE_MVE:
        struct = "td_depthwise_conv_2d"
    else:
        fields["groups"] = layer.groups
    if kernel is CONV_MVE:
        struct = "td_conv_2d"
        fields["row_bytes"] = w.kernel * (layer.in_c // layer.groups)
        fields["strip"] = _strips(layer).pixels
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct=struct,
        header=f"{struct}.h",
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        scratch_bytes=_scratch_bytes(layer, kernel),
        macs=layer.macs,
        trails=_trails(layer, kernel),
    )


def _strips(layer: Params) -> helium.Strips:
    return helium.Strips(layer.h, layer.w, 2 * (layer.in_c // layer.groups), layer.groups)


def _trails(layer: Params, kernel: Kernel) -> tuple[Trail, ...]:
    """All but CONV_MVE go pixel by pixel; they read its window anew for every few channels."""
    steps, copies = by_steps(layer.h.out * layer.w.out, 1, again=False), False
    if kernel is CONV_MVE:
        strips = _strips(layer)
        steps, copies = strips.steps, strips.pixels > 0
    if layer.batches != 1 or (kernel is CONV_MVE and layer.groups != 1):
        return ()
    pixel = 2 * layer.in_c, 2 * layer.out_c
    return (Trail(0, 0, distance_bytes(layer.h, layer.w, pixel, steps, copies=copies)),)


def _scratch_bytes(layer: Params, kernel: Kernel) -> int:
    if kernel is CONV_MVE:
        return _strips(layer).scratch_bytes
    if kernel is DEPTHWISE_MVE:
        return 8 * layer.h.kernel * layer.w.kernel + 2 * layer.in_c
    return 0 if kernel is DEPTHWISE else 2 * _packed(layer, kernel)


def _tables(layer: Params, kernel: Kernel, bias: Array | None) -> Constant:
    requant = layer.requant
    assert isinstance(requant, Requantization16x8)
    if kernel is CONV_MVE:
        return helium.tables_16x8(requant, bias, layer.groups)
    if kernel is DEPTHWISE_MVE:
        table = np.column_stack(helium.requantization_16x8(requant, bias))
        return Constant("requant", helium.evens_and_odds(table))
    return requant.wide_records(bias) if kernel is CONV_WIDE else requant.records(bias)


def _packed(layer: Params, kernel: Kernel) -> int:
    return ceil_to(layer.patch, 4) if kernel is CONV_DSP else layer.patch


def _pack(layer: Params, kernel: Kernel, weights: Array) -> Constant:
    """The layouts that td_conv_16x8.h asks for."""
    if kernel is DEPTHWISE:
        return Constant("weights", weights.T, align=1)
    if kernel is DEPTHWISE_MVE:
        return helium.by_eights(weights)
    if kernel is CONV_MVE:
        taps = weights.reshape(layer.out_c, layer.h.kernel, layer.w.kernel, -1)
        by_columns = taps.transpose(0, 2, 1, 3).reshape(layer.out_c, -1)
        return helium.weights(by_columns, layer.groups, helium.PRODUCTS_16X8)
    filters, packed = layer.out_c // layer.groups, _packed(layer, kernel)
    padded = np.zeros((layer.groups, ceil_to(filters, 4), packed), np.int8)
    padded[:, :filters, : layer.patch] = weights.reshape(layer.groups, filters, layer.patch)
    by_fours = padded.reshape(-1, 4, packed)
    if kernel is not CONV_DSP:
        return Constant("weights", by_fours.transpose(0, 2, 1), align=1)
    quads = by_fours.reshape(-1, 4, packed // 4, 4)[..., [0, 2, 1, 3]]
    return Constant("weights", quads.transpose(0, 2, 1, 3), align=4)
