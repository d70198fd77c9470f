from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activation_types, activations_shape, quantized, scales, seeds
from tinydeploy.tflite.schema import ReducerOptions
from tinydeploy.tflite.writer import boolean, constant, single_operator


@st.composite
def _image(draw: st.DrawFn) -> tuple[tuple[int, ...], list[int]]:
    """Height and width of an image with channels: what networks end with."""
    sides = st.integers(1, 6)
    large = draw(st.integers(0, 7)) == 0
    size = (17, 16) if large else (draw(sides), draw(sides))
    shape = (draw(st.integers(1, 2)), *size, draw(st.integers(1, 20)))
    return shape, draw(st.sampled_from(([1, 2], [2, 1], [-3, -2])))


@st.composite
def _any(draw: st.DrawFn) -> tuple[tuple[int, ...], list[int]]:
    shape = draw(activations_shape(ranks=(1, 2, 3, 4, 5, 6)))
    rank = len(shape)
    return shape, draw(st.lists(st.integers(-rank, rank - 1), min_size=1, max_size=rank))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape, axes = draw(st.one_of(_image(), _any()))
    keep_dims = draw(st.booleans())
    averaged = {axis % len(shape) for axis in axes}
    if keep_dims:
        result = [1 if i in averaged else n for i, n in enumerate(shape)]
    else:
        result = [n for i, n in enumerate(shape) if i not in averaged]
    type_, zeros = draw(activation_types)
    source, target = (draw(scales()), draw(zeros)), (draw(scales()), draw(zeros))
    content = single_operator(
        "MEAN",
        [quantized(shape, *source, type_), constant(np.array(axes, np.int32))],
        [quantized(result, *target, type_)],
        {ReducerOptions.KEEP_DIMS: boolean(keep_dims)},
    )
    text = f"{type_.name} {list(shape)} axes={axes} keep={keep_dims} {source} -> {target}"
    return Case("MEAN", content, text, draw(seeds))
