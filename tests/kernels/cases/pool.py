"""What the cases of the pools share."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, activation_types, activations, quantized, scales, seeds
from tinydeploy.tflite.schema import Padding, Pool2DOptions
from tinydeploy.tflite.writer import int8, int32, single_operator


@st.composite
def pool_case(draw: st.DrawFn, operator: str) -> Case:
    batches, channels = draw(st.integers(1, 2)), draw(st.integers(1, 18))
    # Now and then more pixels than 16-bit sums can hold.
    large = draw(st.integers(0, 7)) == 0
    size = (17, 16) if large else (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    filters = size if large else (draw(st.integers(1, 10)), draw(st.integers(1, 10)))
    padding = draw(st.sampled_from(Padding))
    if padding is Padding.VALID:
        filters = (min(filters[0], size[0]), min(filters[1], size[1]))
    strides = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    covered = [
        n if padding is Padding.SAME else n - f + 1 for n, f in zip(size, filters, strict=True)
    ]
    out = [-(-n // s) for n, s in zip(covered, strides, strict=True)]
    type_, zeros = draw(activation_types)
    quantization = draw(scales()), draw(zeros)
    activation = draw(activations)
    slot = Pool2DOptions
    shape = (batches, *size, channels)
    content = single_operator(
        operator,
        [quantized(shape, *quantization, type_)],
        [quantized((batches, *out, channels), *quantization, type_)],
        {
            slot.PADDING: int8(padding),
            slot.STRIDE_H: int32(strides[0]),
            slot.STRIDE_W: int32(strides[1]),
            slot.FILTER_HEIGHT: int32(filters[0]),
            slot.FILTER_WIDTH: int32(filters[1]),
            slot.FUSED_ACTIVATION: int8(activation),
        },
    )
    text = (
        f"{type_.name} {list(shape)} {padding.name} filter={filters} strides={strides} "
        f"{quantization} activation={activation}"
    )
    return Case(operator, content, text, draw(seeds))
