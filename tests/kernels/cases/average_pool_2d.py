from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.pool import pool_case


def cases() -> st.SearchStrategy[Case]:
    return pool_case("AVERAGE_POOL_2D")
