from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.writer import constant, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    before = draw(activations_shape(most=120))
    amounts = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in before]
    after = tuple(size + left + right for size, (left, right) in zip(before, amounts, strict=True))
    source = draw(scales()), draw(zero_points)
    content = single_operator(
        "PAD",
        [quantized(before, *source), constant(np.array(amounts, np.int32))],
        [quantized(after, *source)],
    )
    return Case("PAD", content, f"{list(before)} by {amounts} zero={source[1]}", draw(seeds))
