from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.writer import constant, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape(ranks=(1, 2, 3, 4, 5), most=100))
    padding = st.sampled_from((0, 0, 1, 2))
    paddings = [(draw(padding), draw(padding)) for _ in shape]
    result = [a + n + b for n, (a, b) in zip(shape, paddings, strict=True)]
    quantization = draw(scales()), draw(zero_points)
    content = single_operator(
        "PAD",
        [quantized(shape, *quantization), constant(np.array(paddings, np.int32))],
        [quantized(result, *quantization)],
    )
    return Case("PAD", content, f"{list(shape)} {paddings} {quantization}", draw(seeds))
