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
from tinydeploy.tflite.writer import Option, constant, float32, int8, single_operator


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


def _int16(operator: str, *scales: float, options: dict[int, Option]) -> bytes:
    """Of 20,000 elements; the last scale is the output's."""
    *operands, result = (quantized((20_000,), s, 0, TensorType.INT16) for s in scales)
    return single_operator(operator, operands, [result], options)


def _fully_connected() -> bytes:
    """Weights of 0 and a bias on whose way to the output two precisions round differently."""
    in_scale, scale, out_scale = np.float32((0.064, 0.152, 0.553)).tolist()
    operands = [
        quantized((1, 1), in_scale, 0, TensorType.INT8),
        constant(np.zeros((1, 1), np.int8), (scale,)),
        constant(np.array([3552], np.int32), (in_scale * scale,)),
    ]
    result = quantized((1, 1), out_scale, 0, TensorType.INT8)
    return single_operator("FULLY_CONNECTED", operands, [result], {})


@pytest.mark.parametrize(
    ("operator", "content"),
    [
        ("SUB", _int16("SUB", 1.0, 1.0, 6.498344898223877, options={0: int8(0)})),
        ("RELU", _int16("RELU", 0.95, 0.74, options={})),
        ("LEAKY_RELU", _int16("LEAKY_RELU", 0.95, 0.74, options={0: float32(0.3)})),
        ("FULLY_CONNECTED", _fully_connected()),
    ],
)
def test_multipliers_are_of_double_precision(operator: str, content: bytes) -> None:
    """One output in thousands differs where they are rounded to float32 on the way."""
    require("oracle")
    case = Case(operator, content, "one scale", seed=0)
    for inputs, (ours,) in zip(case.inputs, case.expected, strict=True):
        np.testing.assert_array_equal(ours, *TfliteMicro(case.graph, content).run(inputs))
