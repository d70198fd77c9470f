from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, seeds
from tests.kernels.cases.unary import INT8, INT16, UINT8, quantization
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import TensorType


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(activations_shape())
    type_ = draw(st.sampled_from((INT8, UINT8, INT16)))
    source = draw(quantization(type_))
    result = writer.Tensor(shape, TensorType.FLOAT32)
    content = writer.single_operator("DEQUANTIZE", [quantized(shape, *source, type_)], [result])
    text = f"{list(shape)} {type_.name} {source} -> FLOAT32"
    return Case("DEQUANTIZE", content, text, draw(seeds))
