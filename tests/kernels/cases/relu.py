from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.unary import pair, unary_case


@st.composite
def cases(draw: st.DrawFn) -> Case:
    return draw(unary_case("RELU", *draw(pair())))
