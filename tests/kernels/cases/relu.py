from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.unary import kept_types, pair, unary_case


@st.composite
def cases(draw: st.DrawFn) -> Case:
    type_ = draw(kept_types)
    return draw(unary_case("RELU", *draw(pair(type_, type_)), (type_, type_)))
