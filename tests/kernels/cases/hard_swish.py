from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.unary import pair, unary_case


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # The reference kernel takes no input that is over 128 times coarser than the output.
    source, result = draw(pair().filter(lambda p: p[0][0] < 100 * p[1][0]))
    return draw(unary_case("HARD_SWISH", source, result))
