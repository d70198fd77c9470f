# ruff: noqa: N999
"""A new operator: copy this file to ops/<name>.py, and replace EXAMPLE by TFLite's name of it.

What else it takes, each in one place:

1. `OPERATOR_CODES` and a class of option slots in tflite/schema.py, if they are not there yet.
2. The module in the list of ops/__init__.py.
3. kernels/td_<name>.h with the parameter struct and each kernel's contract, and one file a kernel,
   kernels/<kernel name>.c.
4. tests/kernels/cases/<name>.py, which draws random single-operator models; from there on it is
   tested against TFLite Micro, on the host with sanitizers, and on emulated cores.
5. A row in docs/operators.md.

This one computes out = clamp(in + summand) on int8 of any shape.

Source:
    Where the operator is specified: the TFLite dialect's page, a paper, a section of a manual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Isa, Kernel, KernelCall
from .base import OperatorView
from .checks import expect_shape, fused_limits, runtime_input

NAME = "EXAMPLE"

# The slots of the options' fields, counted from 0 as in the schema; they belong into
# tflite/schema.py.
_SUMMAND = 0
_FUSED_ACTIVATION = 1


@dataclass(frozen=True)
class Params:
    """All that the kernels are told, computed once; the fields mirror the C struct.

    Everything that can be decided before there is any C is decided here or in `lower()`: limits of
    the activation, multipliers, padding. No floating point reaches a kernel.

    Attributes:
        count: Elements.
        summand: In [-255, 255].
        low, high: The stored range that the fused activation leaves.
    """

    count: int
    summand: int
    low: int
    high: int


def parse(view: OperatorView) -> Params:
    """Reads the operator, and refuses by `view.fail` what `reference()` and the kernels cannot do.

    The file is hostile: check every dtype, rank, shape, scale and option. What is refused says the
    two numbers that do not fit together; `OperatorView` and `checks` have most of it.
    """
    source = runtime_input(view, 0, DType.INT8)
    output = view.output(0, DType.INT8)
    expect_shape(view, output, source.shape)
    summand = view.options.int32(_SUMMAND)
    if abs(summand) > 255:
        view.fail(f"the summand is {summand}, supported is -255 to 255")
    low, high = fused_limits(view, _FUSED_ACTIVATION, output)
    return Params(source.elements, summand, low, high)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """Bit for bit what TFLite Micro's reference kernel computes, in whole-array NumPy.

    `inputs` are all of the operator's in TFLite's order, constants too; None where one is absent.
    """
    x = inputs[0]
    assert x is not None
    moved = x.astype(np.int32) + params.summand
    return (np.minimum(np.maximum(moved, params.low), params.high).astype(np.int8),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:
    """The call. None where the output is the input's bytes: the planner then gives both one place.

    Constants (`plan.Constant`) go to flash in the order in which the kernel's inner loop reads
    them; pack them here. `fields` is in the order of the C struct. `scratch_bytes` lives during the
    call only. `in_place` pairs an input with an output that may be the same memory.
    """
    p: Params = node.params
    if p.summand == 0 and (p.low, p.high) == (-128, 127):
        return None
    del graph  # constants would be read from it: graph.node_inputs(node)
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct="td_example",
        header="td_example.h",
        fields={"count": p.count, "summand": p.summand, "low": p.low, "high": p.high},
        inputs=(node.inputs[0],),
        outputs=node.outputs,
        in_place=((0, 0),),
    )


def _by_fours(params: Params) -> bool:
    """What the dsp kernel takes for granted, exactly: it is not called for anything else."""
    return params.count % 4 == 0


# Best first; the last applies to everything that `parse()` accepts. A kernel's name is its C
# symbol and its file: td_<type>_<operator>[_<variant>]__<instruction set>.
KERNELS = (
    Kernel("td_s8_example__dsp", Isa.DSP, _by_fours),
    Kernel("td_s8_example__scalar", Isa.SCALAR),
)
