from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activation_types, activations_shape, quantized, scales, seeds
from tinydeploy.tflite.writer import constant, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape(ranks=(1, 2, 3, 4, 5), most=100))
    padding = st.sampled_from((0, 0, 1, 2))
    paddings = [(draw(padding), draw(padding)) for _ in shape]
    result = [a + n + b for n, (a, b) in zip(shape, paddings, strict=True)]
    type_, zeros = draw(activation_types)
    quantization = draw(scales()), draw(zeros)
    content = single_operator(
        "PAD",
        [quantized(shape, *quantization, type_), constant(np.array(paddings, np.int32))],
        [quantized(result, *quantization, type_)],
    )
    return Case(
        "PAD", content, f"{type_.name} {list(shape)} {paddings} {quantization}", draw(seeds)
    )
