from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.binary import binary_case


def cases() -> st.SearchStrategy[Case]:
    return binary_case("SUB", 64, (1 / 8, 8))
