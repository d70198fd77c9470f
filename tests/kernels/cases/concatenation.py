from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import (
    Case,
    activation_types,
    activations_shape,
    quantized,
    scales,
    seeds,
    stored_values,
)
from tinydeploy.tflite.schema import ConcatenationOptions
from tinydeploy.tflite.writer import constant, int32, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape(ranks=(1, 2, 3, 4, 5, 6), most=60))
    axis = draw(st.integers(0, len(shape) - 1))
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=10))
    type_, zeros = draw(activation_types)
    quantization = draw(scales()), draw(zeros)
    seed = draw(seeds)
    rng = np.random.default_rng(seed)
    runtime = draw(st.integers(0, len(sizes) - 1))
    inputs = []
    for i, size in enumerate(sizes):
        part = (*shape[:axis], size, *shape[axis + 1 :])
        if i == runtime or draw(st.integers(0, 2)):
            inputs.append(quantized(part, *quantization, type_))
        else:
            values = stored_values(rng, part, type_)
            inputs.append(constant(values, (quantization[0],), (quantization[1],)))
    result = (*shape[:axis], sum(sizes), *shape[axis + 1 :])
    asked = axis - len(shape) if draw(st.booleans()) else axis
    content = single_operator(
        "CONCATENATION",
        inputs,
        [quantized(result, *quantization, type_)],
        {ConcatenationOptions.AXIS: int32(asked)},
    )
    text = f"{type_.name} {list(shape)} axis={asked} sizes={sizes}"
    return Case("CONCATENATION", content, text, seed)
