from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case
from tests.kernels.cases.binary import binary_case
from tinydeploy.tflite.schema import SubOptions


def cases() -> st.SearchStrategy[Case]:
    return binary_case("SUB", SubOptions.FUSED_ACTIVATION)
