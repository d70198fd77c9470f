"""What the cases of the operators from one tensor to another of its shape share."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.kernels.case import Case, activations_shape, quantized, scales, seeds, zero_points
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import TensorType

INT8 = TensorType.INT8
UINT8 = TensorType.UINT8
INT16 = TensorType.INT16


@st.composite
def quantization(draw: st.DrawFn, type_: TensorType = INT8) -> tuple[float, int]:
    """(scale, zero point)"""
    if type_ is INT16:
        return draw(scales(2**-18, 2**-5)), 0
    zero_point = draw(zero_points)
    return draw(scales()), zero_point + (128 if type_ is UINT8 else 0)


@st.composite
def pair(
    draw: st.DrawFn, source: TensorType = INT8, result: TensorType = INT8
) -> tuple[tuple[float, int], tuple[float, int]]:
    """Input's and output's quantisation: often equal, often of one scale."""
    scale, zero_point = draw(quantization(source))
    how = draw(st.sampled_from(("equal", "scale", "any")))
    if how == "any" or (source is not result and INT16 in (source, result)):
        return (scale, zero_point), draw(quantization(result))
    if how == "equal":
        shift = {UINT8: 128, INT8: 0, INT16: 0}
        return (scale, zero_point), (scale, zero_point - shift[source] + shift[result])
    return (scale, zero_point), (scale, draw(quantization(result))[1])


# What operators that keep the type work on.
kept_types = st.sampled_from((INT8, INT16))


@st.composite
def unary_case(
    draw: st.DrawFn,
    operator: str,
    source: tuple[float, int],
    result: tuple[float, int],
    types: tuple[TensorType, TensorType] = (INT8, INT8),
    options: Mapping[int, writer.Option] | None = None,
) -> Case:
    shape = draw(activations_shape())
    content = writer.single_operator(
        operator,
        [quantized(shape, *source, types[0])],
        [quantized(shape, *result, types[1])],
        options,
    )
    values = {slot: option.value for slot, option in (options or {}).items()}
    text = f"{list(shape)} {types[0].name} {source} -> {types[1].name} {result} {values}"
    return Case(operator, content, text, draw(seeds))
