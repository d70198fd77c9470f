from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, activation_types, activations_shape, quantized, scales, seeds
from tinydeploy.tflite.writer import constant, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape(ranks=(1, 2, 3, 4, 5)))
    order = draw(st.permutations(range(len(shape))))
    type_, zeros = draw(activation_types)
    quantization = draw(scales()), draw(zeros)
    content = single_operator(
        "TRANSPOSE",
        [quantized(shape, *quantization, type_), constant(np.array(order, np.int32))],
        [quantized([shape[axis] for axis in order], *quantization, type_)],
    )
    return Case("TRANSPOSE", content, f"{type_.name} {list(shape)} by {order}", draw(seeds))
