"""RESHAPE: the same bytes under another shape. It costs nothing: the output is the input.

Source:
    https://www.tensorflow.org/mlir/tfl_ops#tflreshape_tflreshapeop
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..graph import Array, Graph, Node
from ..plan.plan import Kernel, KernelCall
from .base import OperatorView
from .checks import runtime_input

NAME = "RESHAPE"
KERNELS: tuple[Kernel, ...] = ()


@dataclass(frozen=True)
class Params:
    """
    Attributes:
        shape: The output's.
    """

    shape: tuple[int, ...]


def parse(view: OperatorView) -> Params:
    """The output tensor's own shape counts, as in TFLite Micro; the shape input is not read."""
    if len(view.inputs) not in (1, 2):
        view.fail(f"has {len(view.inputs)} inputs, needs 1 or 2")
    source = runtime_input(view, 0)
    output = view.output(0, source.dtype)
    if source.elements != math.prod(output.shape):
        view.fail(
            f"input {list(source.shape)} has {source.elements} elements, "
            f"output {list(output.shape)} has {output.elements}"
        )
    return Params(output.shape)


def reference(params: Params, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    x = inputs[0]
    assert x is not None
    return (x.reshape(params.shape),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:  # noqa: ARG001
    return None
