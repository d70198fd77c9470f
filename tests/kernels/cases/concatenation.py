from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import ConcatenationOptions
from tinydeploy.tflite.writer import constant, int32, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape(most=60))
    axis = draw(st.integers(0, len(shape) - 1))
    extents = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    source = draw(scales()), draw(zero_points)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fixed = draw(st.integers(-2, len(extents) - 1))
    inputs = []
    for position, extent in enumerate(extents):
        part = (*shape[:axis], extent, *shape[axis + 1 :])
        if position == fixed and len(extents) > 1:
            data = rng.integers(-128, 128, part).astype(np.int8)
            inputs.append(constant(data, [source[0]], [source[1]]))
        else:
            inputs.append(quantized(part, *source))
    after = (*shape[:axis], sum(extents), *shape[axis + 1 :])
    written = axis - len(shape) if draw(st.booleans()) else axis
    content = single_operator(
        "CONCATENATION",
        inputs,
        [quantized(after, *source)],
        {ConcatenationOptions.AXIS: int32(written)},
    )
    text = f"{[list(t.shape) for t in inputs]} along {written}, constant {fixed}"
    return Case("CONCATENATION", content, text, draw(seeds))
