from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activation_types, activations_shape, quantized, scales, seeds
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
    type_, zeros = draw(activation_types)
    quantization = draw(scales()), draw(zeros)
    inputs = [quantized(shape, *quantization, type_)]
    if draw(st.booleans()):
        asked = list(result)
        if draw(st.booleans()):
            asked[draw(st.integers(0, len(asked) - 1))] = -1
        inputs.append(constant(np.array(asked, np.int32)))
    content = single_operator(
        "RESHAPE",
        inputs,
        [quantized(result, *quantization, type_)],
        {ReshapeOptions.NEW_SHAPE: int32_vector(result)},
    )
    return Case("RESHAPE", content, f"{type_.name} {list(shape)} -> {result}", draw(seeds))
