"""SOFTMAX, QUANTIZE, DEQUANTIZE and the operators that map bytes: what is refused, and how the
others are planned. That they compute the right thing: tests/kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tinydeploy.errors import InputError
from tinydeploy.graph import Array, Graph
from tinydeploy.ops import OPERATORS, byte_map
from tinydeploy.plan.plan import Isa, KernelCall, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.tflite import reader
from tinydeploy.tflite.schema import LeakyReluOptions, SoftmaxOptions, TensorType
from tinydeploy.tflite.writer import Option, Tensor, float32, single_operator

PROBABILITY = (1 / 256, -128)
INT8, UINT8, FLOAT32, INT16 = (
    TensorType.INT8,
    TensorType.UINT8,
    TensorType.FLOAT32,
    TensorType.INT16,
)


def tensor(
    quantization: tuple[float, int] | None,
    type_: TensorType = INT8,
    shape: tuple[int, ...] = (1, 8),
) -> Tensor:
    scales = (quantization[0],) if quantization else ()
    return Tensor(shape, type_, scales, (quantization[1],) if quantization else ())


def load(
    operator: str, source: Tensor, result: Tensor, options: Mapping[int, Option] | None = None
) -> Graph:
    return reader.loads(single_operator(operator, [source], [result], options), "model")


BETA: Mapping[int, Option] = {SoftmaxOptions.BETA: float32(1.0)}


@pytest.mark.parametrize(
    ("operator", "source", "result", "options", "message"),
    [
        ("SOFTMAX", tensor((0.1, 0)), tensor((0.1, -128)), BETA, "must be 1/256 from -128"),
        ("SOFTMAX", tensor((0.1, 0)), tensor((1 / 256, 0)), BETA, "must be 1/256 from -128"),
        ("SOFTMAX", tensor((0.1, 0)), tensor((1 / 65536, -32768), INT16), BETA, "int16"),
        ("SOFTMAX", tensor((0.1, 0)), tensor(PROBABILITY), {}, "beta times the input's scale is 0"),
        ("SOFTMAX", tensor((0.1, 0)), tensor(PROBABILITY, INT8, (8,)), BETA, "output has [8]"),
        (
            "SOFTMAX",
            tensor((0.1, 0), INT8, (1, 8192)),
            tensor(PROBABILITY, INT8, (1, 8192)),
            BETA,
            "rows have 8192 elements, supported are 1 to 8191",
        ),
        ("LOGISTIC", tensor((0.1, 0)), tensor((1 / 256, 0)), {}, "must be -128"),
        ("LOGISTIC", tensor((1e-10, 0)), tensor(PROBABILITY), {}, "below 2**-28"),
        ("TANH", tensor((0.1, 0), INT16), tensor((1 / 128, 0)), {}, "int16"),
        ("RELU", tensor(None), tensor((0.1, 0)), {}, "has 0 scales"),
        ("HARD_SWISH", tensor((1.0, 0)), tensor((0.001, 0)), {}, "over 128 times"),
        (
            "LEAKY_RELU",
            tensor((0.1, 0)),
            tensor((0.1, 0)),
            {LeakyReluOptions.ALPHA: float32(float("nan"))},
            "alpha is nan",
        ),
        ("QUANTIZE", tensor(None, FLOAT32), tensor((0.1, 0), UINT8), {}, "uint8"),
        ("QUANTIZE", tensor((0.1, 0), UINT8), tensor((0.1, 0), UINT8), {}, "uint8 to uint8"),
        ("DEQUANTIZE", tensor((0.1, 0)), tensor((0.1, 0)), {}, "int8"),
    ],
)
def test_refused(
    operator: str, source: Tensor, result: Tensor, options: Mapping[int, Option], message: str
) -> None:
    with pytest.raises(InputError) as error:
        load(operator, source, result, options)
    assert message in error.value.message
    assert f"layer 0 {operator}" in error.value.message


def call_of(graph: Graph, isa: Isa = Isa.SCALAR) -> KernelCall:
    (call,) = make_plan(graph, Target(tuple(dict.fromkeys((isa, Isa.SCALAR))))).calls
    return call


def test_relu_of_one_scale_is_a_clamp() -> None:
    graph = load("RELU", tensor((0.1, -5)), tensor((0.1, -5)))
    call = call_of(graph, Isa.DSP)
    assert call.kernel.name == "td_s8_clamp__dsp"
    assert dict(call.fields) == {"count": 8, "low": -5, "high": 127}


def test_relu_that_rescales_is_a_table() -> None:
    call = call_of(load("RELU", tensor((0.1, -5)), tensor((0.2, -5))))
    assert call.kernel.name == "td_s8_lut__scalar"


def test_relu_that_changes_nothing_has_no_call() -> None:
    graph = load("RELU", tensor((0.1, -128)), tensor((0.1, -128)))
    plan = make_plan(graph, Target((Isa.SCALAR,)))
    assert plan.calls == ()
    assert plan.placements[0] == plan.placements[1]


@pytest.mark.parametrize(("source", "result"), [(INT8, UINT8), (UINT8, INT8)])
def test_quantize_between_signed_and_unsigned_flips_a_bit(
    source: TensorType, result: TensorType
) -> None:
    zero = {INT8: 3, UINT8: 131}
    graph = load(
        "QUANTIZE", tensor((0.1, zero[source]), source), tensor((0.1, zero[result]), result)
    )
    assert call_of(graph).kernel.name == "td_s8_flip__scalar"


def test_softmax_keeps_only_the_exponentials_that_matter() -> None:
    graph = load("SOFTMAX", tensor((0.25, 0)), tensor(PROBABILITY), BETA)
    exps = graph.nodes[0].params.exps
    # exp(-13.9) * 2**19 is below one half.
    assert exps.size == 56
    assert exps[0] == 2**31 - 1
    np.testing.assert_allclose(exps / 2**31, np.exp(-0.25 * np.arange(56)), rtol=2e-4, atol=1e-7)


def test_softmax_adds_up() -> None:
    graph = load("SOFTMAX", tensor((0.1, 0)), tensor(PROBABILITY), BETA)
    x = np.array([[10, 9, 8, 0, -20, -50, -100, -128]], np.int8)
    (y,) = OPERATORS["SOFTMAX"].reference(graph.nodes[0].params, [x])
    exact = np.exp(x * 0.1) / np.exp(x * 0.1).sum()
    assert np.abs((y.astype(int) + 128) / 256 - exact).max() <= 1 / 256


@pytest.mark.parametrize("operator", ["LOGISTIC", "TANH", "HARD_SWISH"])
def test_bytes_are_near_the_real_function(operator: str) -> None:
    functions: Mapping[str, Callable[[Array], Array]] = {
        "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
        "TANH": np.tanh,
        "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    }
    result = {"LOGISTIC": PROBABILITY, "TANH": (1 / 128, 0), "HARD_SWISH": (0.03, -100)}[operator]
    params = load(operator, tensor((0.05, 3)), tensor(result)).nodes[0].params
    assert isinstance(params, byte_map.ByteMap)
    stored = np.arange(-128, 128, dtype=np.int8)
    (y,) = byte_map.reference(params, [stored])
    exact = np.clip(functions[operator]((stored - 3.0) * 0.05) / result[0] + result[1], -128, 127)
    assert np.abs(y - exact).max() <= 1.5
