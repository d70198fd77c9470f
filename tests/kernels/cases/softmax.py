from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.kernels.case import Case, quantized, scales, seeds, zero_points
from tinydeploy.tflite.schema import SoftmaxOptions, TensorType
from tinydeploy.tflite.writer import float32, single_operator


def case(
    shape: Sequence[int],
    source: tuple[float, int],
    beta: float,
    seed: int,
    type_: TensorType = TensorType.INT8,
) -> Case:
    result = (2**-15, 0) if type_ is TensorType.INT16 else (1 / 256, -128)
    content = single_operator(
        "SOFTMAX",
        [quantized(shape, *source, type_)],
        [quantized(shape, *result, type_)],
        {SoftmaxOptions.BETA: float32(beta)},
    )
    return Case("SOFTMAX", content, f"{type_.name} {list(shape)} {source} beta={beta}", seed)


# TensorFlow Lite Micro aborts where the exponentials of a row sum to 512 times its largest.
BEYOND_ORACLE = tuple(case((1, depth), (2**-9, 0), 1.0, depth) for depth in (512, 1025, 8191))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    depth = draw(st.one_of(st.integers(1, 20), st.integers(21, 511)))
    rows = draw(st.lists(st.integers(1, 3), max_size=3))
    shape = (*rows, depth)
    beta = draw(st.one_of(st.just(1.0), st.floats(0.125, 8, width=32)))
    if draw(st.booleans()):
        source = draw(scales(2**-20, 2**2)), 0
        return case(shape, source, beta, draw(seeds), TensorType.INT16)
    source = draw(scales(2**-14, 2**6)), draw(zero_points)
    return case(shape, source, beta, draw(seeds))
