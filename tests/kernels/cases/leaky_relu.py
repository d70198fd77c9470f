from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.unary import kept_types, pair, unary_case
from tinydeploy.tflite.schema import LeakyReluOptions
from tinydeploy.tflite.writer import Option, float32


@st.composite
def cases(draw: st.DrawFn) -> Case:
    alpha = draw(
        st.one_of(st.sampled_from((0.0, 0.01, 0.3, 1.0, -0.5)), st.floats(-4, 4, width=32))
    )
    options: dict[int, Option] = {LeakyReluOptions.ALPHA: float32(alpha)}
    type_ = draw(kept_types)
    return draw(unary_case("LEAKY_RELU", *draw(pair(type_, type_)), (type_, type_), options))
