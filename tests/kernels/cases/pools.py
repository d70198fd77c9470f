"""The cases of both pools."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, activations, quantized, scales, seeds, zero_points
from tests.kernels.cases.windows import window_options, windows
from tinydeploy.tflite.schema import Pool2DOptions
from tinydeploy.tflite.writer import int32, single_operator


@st.composite
def pool_case(draw: st.DrawFn, operator: str) -> Case:
    padding, h, w = draw(windows())
    batches, channels = draw(st.integers(1, 2)), draw(st.integers(1, 13))
    scale, zero_point = draw(scales()), draw(zero_points)
    activation = draw(activations)
    options = window_options(Pool2DOptions, padding, h, w, activation)
    options[Pool2DOptions.FILTER_HEIGHT] = int32(h.filter)
    options[Pool2DOptions.FILTER_WIDTH] = int32(w.filter)
    content = single_operator(
        operator,
        [quantized((batches, h.size, w.size, channels), scale, zero_point)],
        [quantized((batches, h.out, w.out, channels), scale, zero_point)],
        options,
    )
    text = (
        f"{padding.name} h={h} w={w} batches={batches} channels={channels} "
        f"({scale}, {zero_point}) activation {activation}"
    )
    return Case(operator, content, text, draw(seeds))
