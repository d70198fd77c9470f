from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, scales, zero_points
from tests.kernels.cases.unary import unary_case


@st.composite
def cases(draw: st.DrawFn) -> Case:
    source = draw(scales(2**-14, 2**6)), draw(zero_points)
    return draw(unary_case("LOGISTIC", source, (1 / 256, -128)))
