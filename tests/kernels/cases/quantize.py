from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import RNG, Case, activations_shape, quantized, seeds
from tests.kernels.cases.unary import INT8, INT16, UINT8, kept_types, pair, quantization, unary_case
from tinydeploy.graph import Array, Graph
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import TensorType


@st.composite
def from_float(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape())
    type_ = draw(kept_types)
    result = draw(quantization(type_))
    source = writer.Tensor(shape, TensorType.FLOAT32)
    content = writer.single_operator("QUANTIZE", [source], [quantized(shape, *result, type_)])
    text = f"{list(shape)} FLOAT32 -> {type_.name} {result}"
    return Case("QUANTIZE", content, text, draw(seeds))


def _extremes(graph: Graph, rng: RNG) -> list[list[Array]]:
    del graph, rng
    tiny = np.finfo(np.float32).smallest_subnormal
    values = [
        np.nan,
        np.inf,
        -np.inf,
        3e38,
        -3e38,
        1e12,
        -1e12,
        2.0**31,
        -(2.0**31),
        0.0,
        -0.0,
        tiny,
    ]
    return [[np.array(values, np.float32)]]


# C leaves the conversion of what no int32 can hold to the processor.
BEYOND_ORACLE = tuple(
    Case(
        "QUANTIZE",
        writer.single_operator(
            "QUANTIZE",
            [writer.Tensor((12,), TensorType.FLOAT32)],
            [quantized((12,), scale, zero_point, type_)],
        ),
        f"extremes -> {type_.name} ({scale}, {zero_point})",
        make_inputs=_extremes,
    )
    for type_, scale, zero_point in (
        (INT8, 0.5, 127),
        (INT8, 1e-30, -128),
        (INT8, 1e30, 3),
        (INT16, 1e-30, 0),
    )
)


PAIRS = (
    (INT8, INT8),
    (INT8, UINT8),
    (UINT8, INT8),
    (INT16, INT16),
    (INT16, INT8),
    (INT8, INT16),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    types = draw(st.sampled_from((None, None, *PAIRS)))
    if types is None:
        return draw(from_float())
    return draw(unary_case("QUANTIZE", *draw(pair(*types)), types=types))
