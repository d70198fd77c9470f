from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.binary import binary_case
from tinydeploy.tflite.schema import MulOptions


def cases() -> st.SearchStrategy[Case]:
    return binary_case("MUL", MulOptions.FUSED_ACTIVATION)
