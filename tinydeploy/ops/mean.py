"""MEAN: the average along some axes, rescaled to the output.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflmean_tflmeanop
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from ..graph import Array, DType, Graph, Node
from ..plan.plan import FieldValue, Isa, Kernel, KernelCall
from ..tflite.schema import ReducerOptions
from . import loops
from .base import OperatorView
from .checks import (
    expect_shape,
    integers,
    positive,
    runtime_input,
    same_type,
    stored_range,
)
from .loops import Loop

NAME = "MEAN"

# Sums of int8 over this many elements still fit into 16 bits.
_PIXELS = 256


def _over_pixels(params: Params) -> bool:
    return params.dtype is DType.INT8 and params.pixels is not None


KERNELS = (
    Kernel("td_s8_mean_pixels__mve", Isa.MVE, lambda p: _over_pixels(p) and p.shift < 0),
    Kernel("td_s8_mean_pixels__dsp", Isa.DSP, _over_pixels),
    Kernel("td_s8_mean__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT8),
    Kernel("td_s16_mean__scalar", Isa.SCALAR, lambda p: p.dtype is DType.INT16),
)

# So that no sum overflows 32 bits.
_LARGEST_COUNT = {DType.INT8: 1 << 22, DType.INT16: 65535}


@dataclass(frozen=True)
class Pixels:
    """The shape [batches, pixels, channels] of an input that is averaged over its pixels."""

    batches: int
    pixels: int
    channels: int


@dataclass(frozen=True)
class Params:
    """Mirrors `td_mean`.

    Attributes:
        axes: Which are averaged over, counted from the first, in order.
        shape: The output's.
        nest: The loops over the input; their steps are the output's.
        offset: What is added to a sum: the input's zero point, negative, once for each element.
        multiplier, shift: From such a sum to the output; the count is in the multiplier.
        zero_point: The output's.
        dtype: Of input and output, int8 or int16.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    nest: tuple[Loop, ...]
    offset: int
    multiplier: int
    shift: int
    zero_point: int
    dtype: DType

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    @property
    def pixels(self) -> Pixels | None:
        """For inputs like images whose height and width are averaged over."""
        steps = [loop.steps[0] for loop in self.nest]
        if len(steps) not in (2, 3) or steps[:2] != [1, 0]:
            return None
        channels, pixels, *batches = (loop.extent for loop in self.nest)
        return Pixels(math.prod(batches), pixels, channels) if pixels <= _PIXELS else None


def parse(view: OperatorView) -> Params:
    if len(view.inputs) != 2:
        view.fail(f"has {len(view.inputs)} inputs, needs 2")
    dtype = same_type(view)
    source, output = runtime_input(view, 0), view.output(0)
    rank = len(source.shape)
    if not 1 <= rank <= loops.LARGEST_RANK:
        view.fail(f"has {rank} dimensions, supported are 1 to {loops.LARGEST_RANK}")
    axes = _axes(view, rank)
    kept = tuple(1 if i in axes else n for i, n in enumerate(source.shape))
    shape = kept
    if not view.options.boolean(ReducerOptions.KEEP_DIMS):
        shape = tuple(n for i, n in enumerate(source.shape) if i not in axes)
    expect_shape(view, output, shape)
    count = math.prod(source.shape[i] for i in axes)
    positive(view, elements_averaged_over=count)
    if count > _LARGEST_COUNT[dtype]:
        view.fail(f"averages over {count} elements, supported are up to {_LARGEST_COUNT[dtype]}")
    steps = [0 if i in axes else s for i, s in enumerate(loops.strides(kept))]
    in_scale, in_zero = view.per_tensor(source)
    out_scale, out_zero = view.per_tensor(output)
    multiplier, shift = _divided(*quantize_multiplier(in_scale / out_scale), count)
    return Params(
        axes=axes,
        shape=shape,
        nest=loops.nest(source.shape, [steps]) or (Loop(1, (1,)),),
        offset=-in_zero * count,
        multiplier=multiplier,
        shift=shift,
        zero_point=out_zero,
        dtype=dtype,
    )


def _axes(view: OperatorView, rank: int) -> tuple[int, ...]:
    axes = integers(view.constant(1, DType.INT32))
    for axis in axes:
        if not -rank <= axis < rank:
            view.fail(f"axis {axis} is outside of {rank} dimensions")
    return tuple(sorted({axis % rank for axis in axes}))


def _divided(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """The multiplier over the count, scaled up as far as TFLite Micro does."""
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    x = inputs[0]
    assert x is not None
    p = params
    total = x.astype(np.int64).sum(axis=p.axes, keepdims=True) + p.offset
    value = multiply_by_quantized_multiplier(total, p.multiplier, p.shift).astype(np.int64)
    # The kernel's addition wraps at 32 bits.
    shifted = (value + p.zero_point).astype(np.int32)
    return (np.clip(shifted, *stored_range(p.dtype)).astype(x.dtype).reshape(p.shape),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall:  # noqa: ARG001
    p: Params = node.params
    rescaling: dict[str, FieldValue] = {
        "offset": p.offset,
        "multiplier": p.multiplier,
        "shift": p.shift,
        "zero_point": p.zero_point,
    }
    fields: dict[str, FieldValue]
    if kernel.isa is not Isa.SCALAR:
        assert p.pixels is not None
        struct, fields, scratch = "td_mean_pixels", dict(vars(p.pixels)), 0
    else:
        row, *around = p.nest
        struct, scratch = "td_mean", 4 * p.outputs
        fields = {
            "outputs": p.outputs,
            "row": row.extent,
            "step": row.steps[0],
            "loop_count": len(around),
            "loops": loops.table(around),
        }
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct=struct,
        header="td_mean.h",
        fields={**fields, **rescaling},
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        scratch_bytes=scratch,
    )
