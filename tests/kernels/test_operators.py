"""Every operator's `reference()` against TensorFlow Lite Micro's own interpreter, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.cases import cases_of
from tests.support import require
from tinydeploy.ops import OPERATORS
from tinydeploy.oracle import TfliteMicro


@pytest.mark.parametrize("operator", OPERATORS)
def test_reference_equals_tflite_micro(operator: str) -> None:
    require("oracle")
    strategy = cases_of(operator)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        case = data.draw(strategy, label="case")
        oracle = TfliteMicro(case.graph, case.content)
        for inputs, ours in zip(case.inputs, case.expected, strict=True):
            for a, b in zip(oracle.run(inputs), ours, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(b, a, err_msg=repr(case))

    check()
