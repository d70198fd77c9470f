"""Every operator's `reference()` against TensorFlow Lite Micro's own interpreter, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.case import Case, quantized
from tests.kernels.cases import cases_of
from tests.support import require
from tinydeploy.ops import OPERATORS
from tinydeploy.oracle import TfliteMicro
from tinydeploy.tflite.schema import TensorType
from tinydeploy.tflite.writer import int8, single_operator


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


def test_sub_has_multipliers_of_double_precision() -> None:
    """One output in some thousands differs where they are rounded to float32 on the way."""
    require("oracle")
    shape, int16 = (20_000,), TensorType.INT16
    operands = [quantized(shape, scale, 0, int16) for scale in (1.0, 1.0)]
    result = quantized(shape, 6.498344898223877, 0, int16)
    content = single_operator("SUB", operands, [result], {0: int8(0)})
    case = Case("SUB", content, "int16", seed=0)
    ((a,), (b,)) = TfliteMicro(case.graph, content).run(case.inputs[0]), case.expected[0]
    np.testing.assert_array_equal(a, b)
