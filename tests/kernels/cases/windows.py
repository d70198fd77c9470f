"""What the cases of convolutions and pools share: windows along height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import activation_types, activations, quantized, scales
from tinydeploy.tflite.schema import Padding, TensorType
from tinydeploy.tflite.writer import Option, Tensor, constant, int8, int32


@dataclass(frozen=True)
class Window:
    """A window along one axis."""

    size: int
    filter: int
    stride: int
    dilation: int
    out: int


@st.composite
def window(
    draw: st.DrawFn,
    padding: Padding,
    dilations: Sequence[int],
    filters: Sequence[int],
    strides: Sequence[int],
    largest: int = 9,
) -> Window:
    """Any window of at least one output; where the padding is VALID it fits."""
    filter_ = draw(st.sampled_from(tuple(filters)))
    dilation = draw(st.sampled_from(tuple(dilations)))
    reach = (filter_ - 1) * dilation + 1
    smallest = reach if padding is Padding.VALID else 1
    size = draw(st.integers(smallest, max(smallest, largest)))
    stride = draw(st.sampled_from(tuple(strides)))
    covered = size if padding is Padding.SAME else size - reach + 1
    return Window(size, filter_, stride, dilation, -(-covered // stride))


@st.composite
def windows(
    draw: st.DrawFn,
    dilations: Sequence[int] = (1,),
    filters: Sequence[int] = (1, 2, 3, 4, 5),
    strides: Sequence[int] = (1, 2, 3, 4),
    largest: int = 9,
) -> tuple[Padding, Window, Window]:
    """(padding, window along the height, along the width)"""
    padding = draw(st.sampled_from((Padding.SAME, Padding.VALID)))
    h, w = (draw(window(padding, dilations, filters, strides, largest)) for _ in range(2))
    return padding, h, w


def window_options(
    slots: type[IntEnum], padding: Padding, h: Window, w: Window, activation: int
) -> dict[int, Option]:
    """The options that convolutions and pools name alike."""
    options: dict[int, Option] = {
        slots["PADDING"]: int8(padding),
        slots["STRIDE_H"]: int32(h.stride),
        slots["STRIDE_W"]: int32(w.stride),
        slots["FUSED_ACTIVATION"]: int8(activation),
    }
    if "DILATION_H" in slots.__members__:
        options[slots["DILATION_H"]] = int32(h.dilation)
        options[slots["DILATION_W"]] = int32(w.dilation)
    return options


# That an int16 layer without a bias accumulates as if it had one of.
bias_types = st.sampled_from((TensorType.FLOAT32, TensorType.INT32, TensorType.INT64))


@dataclass(frozen=True, eq=False)
class Layer:
    """Input, weights, bias and output of a layer with weights, quantised.

    Attributes:
        inputs: Input, weights, and a bias, None or nothing.
        text: Scales and what else a failing test should print.
    """

    inputs: tuple[Tensor | None, ...]
    output: Tensor
    activation: int
    text: str


@st.composite
def layer(
    draw: st.DrawFn,
    shapes: tuple[Sequence[int], Sequence[int], Sequence[int]],
    channel_axis: int,
    weights_zero_points: st.SearchStrategy[int] = st.just(0),  # noqa: B008
    *,
    absent_bias: bool = True,
    bias_types: Sequence[str] = ("int64", "int32"),
    types: st.SearchStrategy[tuple[TensorType, st.SearchStrategy[int]]] = activation_types,
    least: int = -128,
) -> Layer:
    """A layer with weights.

    Args:
        shapes: Of input, weights and output.
        channel_axis: The dimension of the weights that per-channel scales run along.
        weights_zero_points: For weights of one scale.
        absent_bias: A bias may be there and absent (-1), not only left out.
        bias_types: What the bias of an int16 layer may be.
        types: Of input and output, and their zero points.
        least: Of the weights: some kernels take none of -128.
    """
    in_shape, weights_shape, out_shape = shapes
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = weights_shape[channel_axis]
    per_channel = draw(st.booleans())
    type_, zeros = draw(types)
    in_scale, in_zero = draw(scales()), draw(zeros)
    out_scale, out_zero = draw(scales()), draw(zeros)
    # Of accumulator over output: usual ones, above one, and some that leave nothing.
    kind = draw(st.sampled_from(("usual", "usual", "usual", "large", "tiny")))
    low, high = {"usual": (-14, -4), "large": (-4, 3), "tiny": (-40, -10)}[kind]
    exponents = rng.uniform(low, high, channels if per_channel else 1)
    weight_scales = (2**exponents * out_scale / in_scale).astype(np.float32)
    int16 = type_ is TensorType.INT16
    zero = 0 if per_channel or int16 else draw(weights_zero_points)
    # As int8 has them; as quantisers store them; the largest sums of those.
    stored = {
        "all": np.arange(least, 128),
        "narrow": np.arange(-127, 128),
        "ends": np.array((-127, 127)),
        "lowest": np.array((least, least, 127)),
    }
    weights = rng.choice(stored[draw(st.sampled_from(sorted(stored)))], weights_shape)
    weights = weights.astype(np.int8)
    bias: tuple[Tensor | None, ...] = draw(st.sampled_from(((), (None,)))) if absent_bias else ()
    if draw(st.booleans()):
        size = draw(st.sampled_from((10.0, 1000.0, 1e5)))
        bias_scales = [float(np.float32(in_scale * s)) for s in weight_scales]
        bias_type = draw(st.sampled_from(tuple(bias_types))) if int16 else "int32"
        values = np.rint(rng.normal(0, size, channels)).astype(bias_type)
        bias = (constant(values, bias_scales),)
    activation = draw(activations)
    scale_list = [float(s) for s in weight_scales]
    return Layer(
        inputs=(
            quantized(in_shape, in_scale, in_zero, type_),
            constant(
                weights, scale_list, [zero] * len(scale_list), channel_axis if per_channel else 0
            ),
            *bias,
        ),
        output=quantized(out_shape, out_scale, out_zero, type_),
        activation=activation,
        text=(
            f"{type_.name} {list(in_shape)} * {list(weights_shape)} -> {list(out_shape)} "
            f"in=({in_scale}, {in_zero}) out=({out_scale}, {out_zero}) {kind} multipliers, "
            f"{'per channel' if per_channel else f'per tensor from {zero}'}, "
            f"bias {[b and (b.type, b.data) for b in bias]}, activation {activation}"
        ),
    )
