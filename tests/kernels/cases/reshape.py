from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import ReshapeOptions
from tinydeploy.tflite.writer import constant, int32_vector, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape())
    left = math.prod(shape)
    result: list[int] = []
    while left > 1 and len(result) < 4:
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        result.append(draw(st.sampled_from(divisors)))
        left //= result[-1]
    result.append(left)
    quantization = draw(scales()), draw(zero_points)
    inputs = [quantized(shape, *quantization)]
    if draw(st.booleans()):
        asked = list(result)
        if draw(st.booleans()):
            asked[draw(st.integers(0, len(asked) - 1))] = -1
        inputs.append(constant(np.array(asked, np.int32)))
    content = single_operator(
        "RESHAPE",
        inputs,
        [quantized(result, *quantization)],
        {ReshapeOptions.NEW_SHAPE: int32_vector(result)},
    )
    return Case("RESHAPE", content, f"{list(shape)} -> {result}", draw(seeds))
