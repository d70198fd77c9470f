"""A case: one operator as a `.tflite` file, and the inputs to try it on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from hypothesis import strategies as st

from tinydeploy import reference
from tinydeploy.graph import Array, DType, Graph, Tensor
from tinydeploy.tflite import reader, writer
from tinydeploy.tflite.schema import TensorType

RNG = np.random.Generator


@dataclass(frozen=True, eq=False)
class Case:
    """One operator, ready to be computed in every way there is.

    Attributes:
        operator: TFLite's name of it.
        content: A `.tflite` file of that operator alone.
        text: What a reader of a failing test needs to know: shapes, parameters.
        seed: Of the inputs.
        make_inputs: (graph, random generator) -> input sets, each with one array for each of
            `graph.inputs`; None for those of `inputs_of`.
    """

    operator: str
    content: bytes = field(repr=False)
    text: str
    seed: int = 0
    make_inputs: Callable[[Graph, RNG], Sequence[Sequence[Array]]] | None = field(
        default=None, repr=False
    )

    @cached_property
    def graph(self) -> Graph:
        return reader.loads(self.content, self.operator.lower())

    @cached_property
    def inputs(self) -> tuple[tuple[Array, ...], ...]:
        """Input sets: random ones and extremes."""
        make = self.make_inputs or inputs_of
        sets = make(self.graph, np.random.default_rng(self.seed))
        return tuple(tuple(arrays) for arrays in sets)

    @cached_property
    def expected(self) -> tuple[tuple[Array, ...], ...]:
        """The outputs for each input set, by the operator's `reference()`."""
        return tuple(reference.run(self.graph, arrays) for arrays in self.inputs)

    def __repr__(self) -> str:
        return f"{self.operator}({self.text}, seed={self.seed})"


def inputs_of(graph: Graph, rng: RNG) -> list[list[Array]]:
    """Five sets: random, near the zero point, lowest and highest mixed, all lowest, all highest."""
    tensors = [graph.tensors[i] for i in graph.inputs]
    output = graph.tensors[graph.outputs[0]]
    if any(t.dtype is DType.FLOAT32 for t in tensors):
        return [[_floats(t, output, rng) for t in tensors] for _ in range(3)]
    limits = [np.iinfo(t.dtype.numpy) for t in tensors]
    pairs = list(zip(tensors, limits, strict=True))
    return [
        [rng.integers(i.min, i.max, t.shape, t.dtype.numpy, endpoint=True) for t, i in pairs],
        [
            np.clip(np.rint(rng.normal(t.zero_point, 8, t.shape)), i.min, i.max).astype(
                t.dtype.numpy
            )
            for t, i in pairs
        ],
        [rng.choice(np.array([i.min, i.max], t.dtype.numpy), t.shape) for t, i in pairs],
        [np.full(t.shape, i.min, t.dtype.numpy) for t, i in pairs],
        [np.full(t.shape, i.max, t.dtype.numpy) for t, i in pairs],
    ]


def _floats(tensor: Tensor, output: Tensor, rng: RNG) -> Array:
    """Reals around the output's range, every fourth one exactly between two of its steps."""
    steps = rng.normal(0, 100, tensor.shape)
    halves = np.floor(steps) + 0.5
    chosen = np.where(rng.random(tensor.shape) < 0.25, halves, steps)
    return (chosen * output.scale).astype(np.float32)


# ---- What generators are made of -------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from((-128, 0, 127)), st.integers(-128, 127))
# (type, zero points): int16 is symmetric.
INT8 = (TensorType.INT8, zero_points)
INT16 = (TensorType.INT16, st.just(0))
activation_types = st.sampled_from((INT8, INT16))
activations = st.sampled_from((0, 1, 2, 3))  # NONE, RELU, RELU_N1_TO_1, RELU6


def scales(smallest: float = 2**-10, largest: float = 2**3) -> st.SearchStrategy[float]:
    """Float32 scales, evenly over the logarithm; powers of two among them."""
    low, high = float(np.log2(smallest)), float(np.log2(largest))
    powers = st.integers(int(np.ceil(low)), int(np.floor(high))).map(lambda e: 2.0**e)
    return st.one_of(st.floats(low, high).map(lambda e: float(np.float32(2**e))), powers)


def stored_values(rng: RNG, shape: Sequence[int], type_: TensorType) -> Array:
    """Elements of any size that an activation may have."""
    limits = np.iinfo(type_.name.lower())
    return rng.integers(limits.min, limits.max, tuple(shape), limits.dtype, endpoint=True)


@st.composite
def activations_shape(
    draw: st.DrawFn, ranks: Sequence[int] = (1, 2, 3, 4), most: int = 300
) -> tuple[int, ...]:
    """A shape with a batch of 1 to 3 and at most `most` elements."""
    rank = draw(st.sampled_from(tuple(ranks)))
    shape: list[int] = []
    for position in range(rank):
        room = most // int(np.prod(shape, dtype=np.int64))
        batch = position == 0 and rank > 1
        shape.append(draw(st.integers(1, max(1, min(room, 3 if batch else room)))))
    return tuple(shape)


def quantized(
    shape: Sequence[int], scale: float, zero_point: int, type_: TensorType = TensorType.INT8
) -> writer.Tensor:
    """A runtime tensor with one scale."""
    return writer.Tensor(tuple(shape), type_, (scale,), (zero_point,))
