"""The cases of ADD, SUB and MUL: operands that broadcast, one of which may be a constant."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import (
    Case,
    activations,
    activations_shape,
    quantized,
    scales,
    seeds,
    zero_points,
)
from tinydeploy.tflite.writer import Tensor, constant, int8, single_operator


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: equal ones, ones of length 1, of lower rank, a single element."""
    full = draw(activations_shape())
    return draw(_shrunk(full)), draw(_shrunk(full))


@st.composite
def _shrunk(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    how = draw(st.sampled_from(("full", "full", "ones", "lower", "single")))
    if how == "ones":
        return tuple(draw(st.sampled_from((1, size))) for size in shape)
    if how == "lower":
        return shape[draw(st.integers(0, len(shape) - 1)) :]
    return (1,) if how == "single" else shape


@st.composite
def binary_case(draw: st.DrawFn, operator: str, activation_slot: int) -> Case:
    both = draw(shapes())
    result = np.broadcast_shapes(*both)
    how = draw(st.sampled_from(("computed", "computed", "first", "second", "same")))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs: list[Tensor] = []
    for position, shape in enumerate(both):
        scale, zero_point = draw(scales(2**-7, 2**3)), draw(zero_points)
        if how == ("first", "second")[position]:
            data = rng.integers(-128, 128, shape).astype(np.int8)
            inputs.append(constant(data, [scale], [zero_point]))
        else:
            inputs.append(quantized(shape, scale, zero_point))
    if how == "same":
        inputs = [inputs[0], inputs[0]]
        result = both[0]
    output = quantized(result, draw(scales(2**-7, 2**3)), draw(zero_points))
    activation = draw(activations)
    content = single_operator(operator, inputs, [output], {activation_slot: int8(activation)})
    text = " ".join(
        f"{list(t.shape)} ({t.scales[0]}, {(t.zero_points or (0,))[0]})" for t in (*inputs, output)
    )
    return Case(operator, content, f"{how} {text} activation {activation}", draw(seeds))
