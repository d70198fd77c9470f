from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, scales, zero_points
from tests.kernels.cases.unary import INT16, unary_case


@st.composite
def cases(draw: st.DrawFn) -> Case:
    if draw(st.booleans()):
        # Powers of two, and what is nearly one, have steps of their own.
        near = st.sampled_from((2.0**-12, 2.0**-11, 2.0**-12 * 1.0005, 2.0**-12 * 1.002))
        scale = draw(st.one_of(near, scales(2**-30, 2.6)))
        return draw(unary_case("LOGISTIC", (scale, 0), (2**-15, 0), (INT16, INT16)))
    source = draw(scales(2**-14, 2**6)), draw(zero_points)
    return draw(unary_case("LOGISTIC", source, (1 / 256, -128)))
