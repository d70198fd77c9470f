"""What the cases of ADD, SUB and MUL share."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import (
    Case,
    activation_types,
    activations,
    quantized,
    scales,
    seeds,
    stored_values,
)
from tinydeploy.tflite.writer import Tensor, constant, int8, single_operator

# The fused activation's slot in the options of all three.
_ACTIVATION = 0


@st.composite
def _shapes(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Two shapes that broadcast, often equal."""
    rank = draw(st.integers(0, 6))
    shape = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    if shape:
        shape[-1] = draw(st.integers(1, 20))
    while math.prod(shape) > 400:
        shape[shape.index(max(shape))] = 2
    kind = draw(st.sampled_from(("equal", "first", "second", "both", "channels")))
    shapes = []
    for name in ("first", "second"):
        one = list(shape)
        if kind in (name, "both"):
            one = [1 if draw(st.booleans()) else n for n in one]
        if kind == "channels" and name == "second":
            one = one[-1:]
        while one and one[0] == 1 and draw(st.booleans()):
            one.pop(0)
        shapes.append(tuple(one))
    return shapes


@st.composite
def binary_case(draw: st.DrawFn, operator: str, spread: float, out: tuple[float, float]) -> Case:
    """Args:
    spread: By how much the inputs' scales differ at most, as a factor.
    out: The smallest and the largest scale of the output; the inputs' are around 1.
    """
    shapes = draw(_shapes())
    near = scales(1 / math.sqrt(spread), math.sqrt(spread))
    type_, zeros = draw(activation_types)
    quantization = [(draw(near), draw(zeros)) for _ in shapes]
    result = draw(scales(*out)), draw(zeros)
    seed = draw(seeds)
    operands: list[Tensor] = [
        quantized(shape, *q, type_) for shape, q in zip(shapes, quantization, strict=True)
    ]
    which = draw(st.sampled_from(("none", "first", "second", "same")))
    if which in ("first", "second"):
        i = ("first", "second").index(which)
        values = stored_values(np.random.default_rng(seed), shapes[i], type_)
        operands[i] = constant(values, (quantization[i][0],), (quantization[i][1],))
    elif which == "same":
        operands[1] = operands[0]
        shapes[1] = shapes[0]
    shape = np.broadcast_shapes(*shapes)
    activation = draw(activations)
    content = single_operator(
        operator, operands, [quantized(shape, *result, type_)], {_ACTIVATION: int8(activation)}
    )
    text = (
        f"{type_.name} {shapes} {quantization} -> {result} constant={which} activation={activation}"
    )
    return Case(operator, content, text, seed)
