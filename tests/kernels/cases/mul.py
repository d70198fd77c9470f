from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.binary import binary_case


def cases() -> st.SearchStrategy[Case]:
    return binary_case("MUL", 64, (1 / 4, 1024))
