from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, seeds
from tests.kernels.cases.unary import INT8, UINT8, pair, quantization, unary_case
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import TensorType


@st.composite
def from_float(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape())
    result = draw(quantization())
    source = writer.Tensor(shape, TensorType.FLOAT32)
    content = writer.single_operator("QUANTIZE", [source], [quantized(shape, *result)])
    return Case("QUANTIZE", content, f"{list(shape)} FLOAT32 -> INT8 {result}", draw(seeds))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    types = draw(st.sampled_from((None, (INT8, INT8), (INT8, UINT8), (UINT8, INT8))))
    if types is None:
        return draw(from_float())
    return draw(unary_case("QUANTIZE", *draw(pair(*types)), types=types))
