"""Operators with int16 activations: what is refused, and how the others are planned. That they
compute the right thing: tests/kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tinydeploy.errors import InputError
from tinydeploy.graph import Graph
from tinydeploy.ops import int16_map, softmax_16
from tinydeploy.plan.plan import Isa, KernelCall, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.tflite import reader
from tinydeploy.tflite.schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Pool2DOptions,
    SoftmaxOptions,
    TensorType,
)
from tinydeploy.tflite.writer import (
    Option,
    Tensor,
    constant,
    float32,
    int8,
    int32,
    int32_vector,
    single_operator,
)

DSP = Target((Isa.DSP, Isa.SCALAR))
POT = 2.0**-15


def wide(shape: Sequence[int] = (1, 8), scale: float = 0.001, zero_point: int = 0) -> Tensor:
    return Tensor(tuple(shape), TensorType.INT16, (scale,), (zero_point,))


def narrow(shape: Sequence[int] = (1, 8), scale: float = 0.1, zero_point: int = 3) -> Tensor:
    return Tensor(tuple(shape), TensorType.INT8, (scale,), (zero_point,))


def load(
    operator: str,
    inputs: Sequence[Tensor | None],
    output: Tensor,
    options: Mapping[int, Option] | None = None,
) -> Graph:
    return reader.loads(single_operator(operator, inputs, [output], options), "model")


def call_of(graph: Graph) -> KernelCall:
    (call,) = make_plan(graph, DSP).calls
    return call


def weights(values: int, scale: float, shape: Sequence[int] = (1, 1, 1, 8)) -> Tensor:
    return constant(np.full(tuple(shape), values, np.int8), (scale,), (0,))


def bias(dtype: str, value: int = 0, count: int = 1, scale: float = 1.0) -> Tensor:
    return constant(np.full(count, value, dtype), (scale,), (0,))


CONV: dict[int, Option] = {Conv2DOptions.STRIDE_W: int32(1), Conv2DOptions.STRIDE_H: int32(1)}
IMAGE, PIXEL = wide((1, 2, 2, 8)), wide((1, 2, 2, 1))
DEPTHWISE = {
    DepthwiseConv2DOptions.STRIDE_W: int32(1),
    DepthwiseConv2DOptions.STRIDE_H: int32(1),
    DepthwiseConv2DOptions.DEPTH_MULTIPLIER: int32(1),
}
BETA = {SoftmaxOptions.BETA: float32(1.0)}
ALL = {
    Pool2DOptions.PADDING: int8(1),
    **{
        slot: int32(n)
        for slot, n in (
            (Pool2DOptions.STRIDE_W, 1),
            (Pool2DOptions.STRIDE_H, 1),
            (Pool2DOptions.FILTER_WIDTH, 256),
            (Pool2DOptions.FILTER_HEIGHT, 256),
        )
    },
}

REFUSED = {
    "a zero point": ("RELU", [wide(zero_point=1)], wide(), {}, "int16 with zero point 1"),
    "an output's zero point": ("ADD", [wide(), wide()], wide(zero_point=-5), {}, "zero point -5"),
    "two types": ("MUL", [wide(), narrow()], wide(), {}, "input 1 is int8, supported is int16"),
    "another output": ("TANH", [wide()], narrow(), {}, "output 0 is int8, supported is int16"),
    "HARD_SWISH": ("HARD_SWISH", [wide()], wide(), {}, "input 0 is int16, supported is int8"),
    "LOGISTIC to another scale": (
        "LOGISTIC", [wide()], wide(scale=0.01), {}, "the output's scale is 0.01, must be 2**-15",
    ),
    "TANH of a coarse input": (
        "TANH", [wide(scale=2.7)], wide(scale=POT), {}, "the input's scale 2.7 is above 2.66",
    ),
    "SOFTMAX to another scale": (
        "SOFTMAX", [wide()], wide(scale=1 / 256), BETA, "the output's scale is 0.00390625",
    ),
    "uint8 to int16": (
        "QUANTIZE",
        [Tensor((1, 8), TensorType.UINT8, (0.1,), (128,))],
        wide(),
        {},
        "uint8 to int16 is not supported",
    ),
    "a bias of int32 in a depthwise layer": (
        "DEPTHWISE_CONV_2D",
        [IMAGE, weights(1, 0.01), bias("int32", count=8)],
        wide((1, 2, 2, 8)),
        DEPTHWISE,
        "input 2 is int32, supported is int64",
    ),
    "a bias of int16": (
        "CONV_2D", [IMAGE, weights(1, 0.01), bias("int16")], PIXEL, CONV, "input 2 is int16",
    ),
    "sums of more than 47 bits": (
        "CONV_2D",
        [IMAGE, weights(1, 0.01), bias("int64", 1 << 47)],
        PIXEL,
        CONV,
        "supported are those below 2**47",
    ),
    "a large multiplier": (
        "CONV_2D",
        [IMAGE, weights(1, 200.0), bias("int64")],
        PIXEL,
        CONV,
        "ask for a multiplier of 2**7 or more",
    ),
    "weights with a zero point": (
        "FULLY_CONNECTED",
        [wide(), constant(np.ones((1, 8), np.int8), (0.1,), (3,))],
        wide((1, 1)),
        {},
        "the weights have zero point 3, supported with int16 is 0",
    ),
    "a mean of too many": (
        "AVERAGE_POOL_2D",
        [wide((1, 256, 256, 1))],
        wide((1, 1, 1, 1)),
        ALL,
        "averages over 65536 pixels, supported with int16 are up to 65535",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    operator, inputs, output, options, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        load(operator, inputs, output, options)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert f"layer 0 {operator}" in caught.value.message


@pytest.mark.parametrize(
    ("value", "scale", "kernel"),
    [
        (0, 0.01, "td_s16_conv_2d__dsp"),
        (1 << 40, 0.01, "td_s16_conv_2d_wide__scalar"),  # does not fit into 32 bits
        (0, 4.0, "td_s16_conv_2d_wide__scalar"),  # shifts left
        (0, 2.0**-26, "td_s16_conv_2d__dsp"),  # gives 0 for all inputs
    ],
)
def test_64_bit_sums_only_where_32_do_not_do(value: int, scale: float, kernel: str) -> None:
    graph = load("CONV_2D", [IMAGE, weights(100, scale), bias("int64", value)], PIXEL, CONV)
    assert call_of(graph).kernel.name == kernel


def test_32_bit_bias_means_32_bit_sums_whatever_the_scale() -> None:
    graph = load("CONV_2D", [IMAGE, weights(100, 4.0), bias("int32", 1 << 30)], PIXEL, CONV)
    assert call_of(graph).kernel.name == "td_s16_conv_2d__dsp"


def test_missing_bias_has_the_type_that_the_options_say() -> None:
    options = {**CONV, Conv2DOptions.QUANTIZED_BIAS_TYPE: int8(TensorType.INT32)}
    inputs = [IMAGE, weights(100, 4.0)]
    assert call_of(load("CONV_2D", inputs, PIXEL, options)).kernel.name == "td_s16_conv_2d__dsp"
    assert "wide" in call_of(load("CONV_2D", inputs, PIXEL, CONV)).kernel.name


def test_relu_of_one_scale_is_a_clamp() -> None:
    call = call_of(load("RELU", [wide()], wide()))
    assert call.kernel.name == "td_s16_clamp__scalar"
    assert dict(call.fields) == {"count": 8, "low": 0, "high": 32767}


def test_quantize_to_the_same_scale_has_no_call() -> None:
    plan = make_plan(load("QUANTIZE", [wide()], wide()), DSP)
    assert plan.calls == ()


def test_pad_and_concatenation_count_in_bytes() -> None:
    padded = load("PAD", [wide((4,)), constant(np.array([[1, 2]], np.int32))], wide((7,)))
    assert call_of(padded).fields["out_bytes"] == 14
    assert call_of(padded).fields["start"] == 2
    joined = load("CONCATENATION", [wide((4,)), wide((3,))], wide((7,)), {0: int32(0)})
    parts = call_of(joined).fields["parts"]
    assert parts.data.tolist() == [[8, -1], [6, -1]]  # type: ignore[union-attr]


def test_reshape_renames() -> None:
    graph = load("RESHAPE", [wide((4, 2))], wide((8,)), {0: int32_vector((8,))})
    assert make_plan(graph, DSP).calls == ()


def test_tables_follow_their_curves() -> None:
    x = np.arange(256) / 24
    sigmoid = int16_map.sigmoid_table()
    assert np.abs(sigmoid - 65536 / (1 + np.exp(-x))).max() < 1.2
    assert (np.diff(sigmoid) >= 0).all()
    pieces = np.arange(513) / 512
    assert np.abs(softmax_16.exp_table() - 32768 * np.exp(10 * (pieces - 1))).max() < 2
    assert np.abs(softmax_16.inverse_table() - 32768 / (1 + pieces)).max() < 1.1
