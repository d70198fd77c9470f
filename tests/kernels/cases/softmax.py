from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import SoftmaxOptions
from tinydeploy.tflite.writer import float32, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # TensorFlow Lite Micro aborts where 512 elements of a row are its maximum.
    depth = draw(st.one_of(st.integers(1, 20), st.integers(21, 511)))
    rows = draw(st.lists(st.integers(1, 3), max_size=3))
    shape = (*rows, depth)
    source = draw(scales(2**-14, 2**6)), draw(zero_points)
    beta = draw(st.one_of(st.just(1.0), st.floats(0.125, 8, width=32)))
    content = single_operator(
        "SOFTMAX",
        [quantized(shape, *source)],
        [quantized(shape, 1 / 256, -128)],
        {SoftmaxOptions.BETA: float32(beta)},
    )
    return Case("SOFTMAX", content, f"{list(shape)} {source} beta={beta}", draw(seeds))
