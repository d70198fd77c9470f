from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import ReshapeOptions
from tinydeploy.tflite.writer import constant, int32_vector, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    before = draw(activations_shape())
    elements = int(np.prod(before))
    divisors = [d for d in range(1, elements + 1) if elements % d == 0]
    first = draw(st.sampled_from(divisors))
    after = draw(st.sampled_from(((first, elements // first), (1, elements), (elements,))))
    source = draw(scales()), draw(zero_points)
    inputs = [quantized(before, *source)]
    options = {}
    if draw(st.booleans()):
        inputs.append(constant(np.array(after, np.int32)))
    else:
        options[ReshapeOptions.NEW_SHAPE] = int32_vector(after)
    content = single_operator("RESHAPE", inputs, [quantized(after, *source)], options)
    return Case("RESHAPE", content, f"{list(before)} -> {list(after)}", draw(seeds))
