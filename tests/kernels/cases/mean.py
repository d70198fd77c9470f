from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import ReducerOptions
from tinydeploy.tflite.writer import boolean, constant, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    before = draw(activations_shape(ranks=(2, 3, 4)))
    rank = len(before)
    axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    keep = draw(st.booleans())
    after = tuple(
        1 if axis in axes else size for axis, size in enumerate(before) if keep or axis not in axes
    )
    written = [axis - rank if draw(st.booleans()) else axis for axis in axes]
    source = draw(scales()), draw(zero_points)
    result = source if draw(st.booleans()) else (draw(scales()), draw(zero_points))
    content = single_operator(
        "MEAN",
        [quantized(before, *source), constant(np.array(written, np.int32))],
        [quantized(after, *result)],
        {ReducerOptions.KEEP_DIMS: boolean(keep)},
    )
    text = f"{list(before)} {source} over {written} -> {list(after)} {result}"
    return Case("MEAN", content, text, draw(seeds))
