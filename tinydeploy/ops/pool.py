"""What AVERAGE_POOL_2D and MAX_POOL_2D share: everything but how a window becomes a number.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflaverage_pool_2d_tflaveragepool2dop
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ..graph import Array, DType, Node
from ..plan.plan import Kernel, KernelCall, Trail
from ..tflite.schema import Padding, Pool2DOptions
from .base import OperatorView
from .checks import expect_shape, fused_limits, positive, runtime_input, same_type
from .convolution import Axis
from .trailing import by_steps, distance_bytes

# Of a filter or a stride, so that no position overflows 32 bits in C.
_LARGEST = 65535


@dataclass(frozen=True)
class Params:
    """Mirrors `td_pool`: [batches, in_h, in_w, channels] -> [batches, out_h, out_w, channels].

    Attributes:
        filter_h, filter_w, stride_h, stride_w: In pixels.
        pad_h, pad_w: Pixels before the first row and column; they count for nothing.
        low, high: The stored range that the fused activation leaves.
        dtype: Of input and output, int8 or int16.
    """

    batches: int
    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    filter_h: int
    filter_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    low: int
    high: int
    dtype: DType

    @property
    def pixels(self) -> int:
        """The most that a window has inside the input."""
        return min(self.filter_h, self.in_h) * min(self.filter_w, self.in_w)


def parse(view: OperatorView) -> Params:
    dtype = same_type(view)
    runtime_input(view, 0)
    source, output = view.input(0, rank=4), view.output(0, rank=4)
    _same_quantization(view)
    options, slot = view.options, Pool2DOptions
    filter_h, filter_w = options.int32(slot.FILTER_HEIGHT), options.int32(slot.FILTER_WIDTH)
    stride_h, stride_w = options.int32(slot.STRIDE_H), options.int32(slot.STRIDE_W)
    positive(view, filter_height=filter_h, filter_width=filter_w)
    positive(view, stride_height=stride_h, stride_width=stride_w)
    batches, in_h, in_w, channels = source.shape
    positive(view, height=in_h, width=in_w)
    padding = options.int8(slot.PADDING)
    out_h, pad_h = _window(view, padding, in_h, filter_h, stride_h)
    out_w, pad_w = _window(view, padding, in_w, filter_w, stride_w)
    expect_shape(view, output, (batches, out_h, out_w, channels))
    low, high = fused_limits(view, slot.FUSED_ACTIVATION, output)
    return Params(
        batches=batches,
        in_h=in_h,
        in_w=in_w,
        channels=channels,
        out_h=out_h,
        out_w=out_w,
        filter_h=filter_h,
        filter_w=filter_w,
        stride_h=stride_h,
        stride_w=stride_w,
        pad_h=pad_h,
        pad_w=pad_w,
        low=low,
        high=high,
        dtype=dtype,
    )


def _same_quantization(view: OperatorView) -> None:
    before, after = view.per_tensor(view.input(0)), view.per_tensor(view.output(0))
    # TFLite Micro's own tolerance.
    if abs(before[0] - after[0]) > 1e-6 or before[1] != after[1]:
        view.fail(
            f"input has scale {before[0]:g} and zero point {before[1]}, output {after[0]:g} and "
            f"{after[1]}: they must be equal"
        )


def _window(
    view: OperatorView, padding: int, size: int, filter_size: int, stride: int
) -> tuple[int, int]:
    """(output size, padding before the first) along one axis."""
    if padding not in (Padding.SAME, Padding.VALID):
        view.fail(f"padding {padding} is unknown, supported are SAME and VALID")
    if max(filter_size, stride) > _LARGEST:
        view.fail(f"filter {filter_size} with stride {stride}: supported is up to {_LARGEST}")
    covered = size if padding == Padding.SAME else size - filter_size + 1
    out = -(-covered // stride)
    if out < 1:
        view.fail(f"a filter of {filter_size} does not fit into {size} pixels")
    return out, max(0, (out - 1) * stride + filter_size - size) // 2


def reference(params: Params, x: Array | None, combine: Callable[[Array], Array]) -> Array:
    """Pools `x`, [N, H, W, C].

    Args:
        combine: int64 [N, pixels, C] to integers [N, C]: the value of one window.
    """
    assert x is not None
    p = params
    wide = x.astype(np.int64)
    out = np.empty((p.batches, p.out_h, p.out_w, p.channels), x.dtype)
    for row in range(p.out_h):
        top = row * p.stride_h - p.pad_h
        rows = slice(max(top, 0), top + p.filter_h)
        for column in range(p.out_w):
            left = column * p.stride_w - p.pad_w
            window = wide[:, rows, max(left, 0) : left + p.filter_w]
            value = combine(window.reshape(p.batches, -1, p.channels))
            out[:, row, column] = np.minimum(np.maximum(value, p.low), p.high)
    return out


def lower(node: Node, kernel: Kernel) -> KernelCall:
    fields = asdict(node.params)
    del fields["dtype"]
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_pool",
        header="td_pool.h",
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        trails=_trails(node.params),
    )


def _trails(params: Params) -> tuple[Trail, ...]:
    """Kernels go pixel by pixel, each channel for itself."""
    p = params
    if p.batches != 1:
        return ()
    h = Axis(p.in_h, p.out_h, p.filter_h, p.stride_h, 1, p.pad_h)
    w = Axis(p.in_w, p.out_w, p.filter_w, p.stride_w, 1, p.pad_w)
    pixel = p.channels * p.dtype.bytes
    steps = by_steps(p.out_h * p.out_w, 1, again=False)
    return (Trail(0, 0, distance_bytes(h, w, (pixel, pixel), steps, copies=True), multiple=pixel),)
