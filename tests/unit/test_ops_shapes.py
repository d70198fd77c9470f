"""What the pools and the element-wise operators refuse, alias and prove, without a compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tinydeploy.errors import InputError
from tinydeploy.graph import Graph
from tinydeploy.ops import binary, loops
from tinydeploy.plan.plan import Isa, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.plan.select import lower
from tinydeploy.tflite import reader
from tinydeploy.tflite.writer import Option, Tensor, boolean, constant, int8, int32, single_operator

SCALAR = Target((Isa.SCALAR,))
DSP = Target((Isa.DSP, Isa.SCALAR))


def activation(shape: Sequence[int], scale: float = 0.5, zero_point: int = 0) -> Tensor:
    return Tensor(tuple(shape), scales=(scale,), zero_points=(zero_point,))


def numbers(*values: int) -> Tensor:
    return constant(np.array(values, np.int32))


def load(
    operator: str,
    inputs: Sequence[Tensor],
    output: Tensor,
    options: Mapping[int, Option] | None = None,
) -> Graph:
    # One object is one tensor, and no operator writes what it reads.
    outputs = [replace(output)]
    return reader.loads(single_operator(operator, inputs, outputs, options or {}), "t")


def pool(**changes: int) -> dict[int, Option]:
    names = ("padding", "stride_w", "stride_h", "filter_w", "filter_h", "activation")
    values = {**dict.fromkeys(names, 1), "activation": 0, **changes}
    kinds = (int8, int32, int32, int32, int32, int8)
    return {i: kinds[i](values[name]) for i, name in enumerate(names)}


IMAGE = activation((1, 4, 4, 3))
FLAT = activation((12,))

REFUSED = {
    "pool filter larger than the input": (
        "MAX_POOL_2D",
        [IMAGE],
        activation((1, 1, 1, 3)),
        pool(filter_w=5),
        "a filter of 5 does not fit into 4 pixels",
    ),
    "pool of another shape": (
        "AVERAGE_POOL_2D",
        [IMAGE],
        activation((1, 4, 4, 3)),
        pool(filter_w=2),
        r"output has shape \[1, 4, 4, 3\], its inputs make \[1, 4, 3, 3\]",
    ),
    "pool with stride 0": (
        "MAX_POOL_2D",
        [IMAGE],
        IMAGE,
        pool(stride_h=0),
        "stride_height is 0, must be at least 1",
    ),
    "pool that rescales": (
        "AVERAGE_POOL_2D",
        [IMAGE],
        activation((1, 4, 4, 3), 0.25),
        pool(),
        "scale 0.5 and zero point 0, output 0.25 and 0",
    ),
    "pool with tanh": (
        "MAX_POOL_2D",
        [IMAGE],
        activation((1, 4, 4, 3)),
        pool(activation=4),
        "fused activation 4 is not supported, supported are NONE, RELU, RELU_N1_TO_1, RELU6",
    ),
    "pool of five dimensions": (
        "MAX_POOL_2D",
        [activation((1, 1, 4, 4, 3))],
        activation((1, 4, 4, 3)),
        pool(),
        "input 0 has 5 dimensions, needs 4",
    ),
    "shapes that do not broadcast": (
        "ADD",
        [FLAT, activation((5,))],
        FLAT,
        {},
        r"shapes \[12\] and \[5\] do not broadcast",
    ),
    "seven dimensions": (
        "MUL",
        [activation((1,) * 6 + (12,)), FLAT],
        activation((1,) * 6 + (12,)),
        {},
        "has 7 dimensions, supported are up to 6",
    ),
    "output much finer than the inputs": (
        "SUB",
        [FLAT, FLAT],
        activation((12,), 2.0**-25),
        {},
        r"its scales ask for a multiplier of 32, needs to be in \(0, 1\)",
    ),
    "negative padding": (
        "PAD",
        [FLAT, constant(np.array([[-1, 1]], np.int32))],
        FLAT,
        {},
        "padding -1 is negative",
    ),
    "too few paddings": (
        "PAD",
        [IMAGE, numbers(0, 0)],
        IMAGE,
        {},
        "has 2 paddings for 4 dimensions, needs 8",
    ),
    "paddings computed at run time": (
        "PAD",
        [FLAT, Tensor((1, 2), 2)],
        FLAT,
        {},
        "input 1 must be a constant",
    ),
    "axis outside": (
        "MEAN",
        [IMAGE, numbers(1, 4)],
        IMAGE,
        {0: boolean(True)},
        "axis 4 is outside of 4 dimensions",
    ),
    "concatenation of scales": (
        "CONCATENATION",
        [FLAT, activation((12,), 0.25)],
        activation((24,)),
        {0: int32(0)},
        "input 1 and the output have different scales or zero points",
    ),
    "concatenation with an activation": (
        "CONCATENATION",
        [FLAT, FLAT],
        activation((24,)),
        {0: int32(0), 1: int8(1)},
        "fused activation 1 is not supported, supported is NONE",
    ),
    "concatenation of eleven": (
        "CONCATENATION",
        [activation((1,)) for _ in range(11)],
        activation((11,)),
        {0: int32(0)},
        "has 11 inputs, supported are 1 to 10",
    ),
    "concatenation that does not fit": (
        "CONCATENATION",
        [IMAGE, activation((1, 4, 3, 3))],
        activation((1, 8, 4, 3)),
        {0: int32(1)},
        r"input 1 has shape \[1, 4, 3, 3\], which does not fit \[1, 8, 4, 3\] along axis 1",
    ),
    "reshape to more elements": (
        "RESHAPE",
        [FLAT],
        activation((13,)),
        {},
        r"input \[12\] has 12 elements, output \[13\] has 13",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_layer_and_the_numbers(name: str) -> None:
    operator, inputs, output, options, message = REFUSED[name]
    with pytest.raises(InputError, match=f"layer 0 {operator}: .*{message}"):
        load(operator, inputs, output, options)


def test_what_changes_no_byte_has_no_call() -> None:
    graphs = [
        load("RESHAPE", [FLAT], activation((3, 4))),
        load("PAD", [FLAT, constant(np.zeros((1, 2), np.int32))], activation((12,))),
        load("CONCATENATION", [FLAT], activation((12,)), {0: int32(0)}),
    ]
    for graph in graphs:
        assert lower(graph, SCALAR) == ()


def test_an_operand_that_nobody_reads_again_is_overwritten() -> None:
    graph = load("ADD", [activation((1, 4)), activation((3, 4))], activation((3, 4)))
    plan = make_plan(graph, SCALAR)
    assert plan.calls[0].in_place == ((1, 0),)
    assert plan.placements[2].offset == plan.placements[1].offset


def test_a_constant_first_operand_changes_places() -> None:
    first = constant(np.arange(12, dtype=np.int8), (0.25,), (3,))
    graph = load("SUB", [first, activation((12,), 0.5, -7)], activation((12,)))
    params = graph.nodes[0].params
    assert (params.first.sign, params.first.zero_point) == (-1, -7)
    assert (params.second.sign, params.second.zero_point) == (1, 3)
    (call,) = lower(graph, SCALAR)
    assert call.inputs == (1,)


def test_dimensions_that_move_together_are_one_loop() -> None:
    full, channels = (2, 3, 4, 5), (5,)
    graph = load("MUL", [activation(full), activation(channels)], activation(full))
    operands = graph.nodes[0].params.operands
    assert (operands.row, operands.steps) == (5, (1, 1))
    table = loops.table(operands.around)
    assert table is not None
    assert table.data.tolist() == [[24, 5, 0]]


def test_loops_rewind_what_ran_inside_them() -> None:
    shape, other = (2, 3, 4), (2, 1, 4)
    graph = load("ADD", [activation(shape), activation(other)], activation(shape))
    operands = graph.nodes[0].params.operands
    table = loops.table(operands.around)
    assert table is not None
    assert table.data.tolist() == [[3, 4, 0], [2, 4, 4]]


def test_the_affine_form_is_the_same_function() -> None:
    graph = load(
        "ADD",
        [activation((12,), 0.0371416, -5), activation((12,), 0.0217183, 9)],
        activation((12,), 0.0414214, -20),
    )
    params = graph.nodes[0].params
    form = params.affine
    assert form is not None
    a, b = binary.INT8_VALUES[:, None], binary.INT8_VALUES[None, :]
    total = ((a * form.multiplier0) >> 8) + ((b * form.multiplier1) >> 8) + form.offset
    assert np.array_equal(np.clip(total >> form.shift, -128, 127), params.combine(a, b))
    assert lower(graph, DSP)[0].struct == "td_add_affine"


def test_where_ties_round_away_from_zero_there_is_no_affine_form() -> None:
    graph = load("ADD", [FLAT, activation((12,))], activation((12,), 1.0))
    assert graph.nodes[0].params.affine is None
    (call,) = lower(graph, DSP)
    assert call.kernel.name == "td_s8_add__scalar"


def test_no_offset_where_the_wanted_values_contradict() -> None:
    accumulators = np.array([0, 0])
    wanted = np.array([0, 1])
    assert binary.constant_offset(accumulators, wanted, -128, 127, 4) is None
    assert binary.constant_offset(accumulators, wanted, 1, 1, 4) is not None
