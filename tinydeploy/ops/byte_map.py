"""What the operators share that map each byte on its own, whatever they compute.

Such an operator is its 256 outputs. `parse()` computes them; the kernel is chosen by what they
are: the input itself (no kernel), its sign bit flipped, a clamp, or any table at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..graph import Array, DType, Graph, Node
from ..plan.plan import Constant, FieldValue, Isa, Kernel, KernelCall
from .base import OperatorView

_BYTES: NDArray[np.uint8] = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class ByteMap:
    """An operator from bytes to bytes.

    Attributes:
        table: uint8 [256], the output's byte for each input byte, both read as unsigned.
        dtype: How the output's bytes are meant: int8 or uint8.
        elements: How many there are.
    """

    table: NDArray[np.uint8]
    dtype: DType
    elements: int

    @property
    def is_identity(self) -> bool:
        return bool(np.array_equal(self.table, _BYTES))

    @property
    def is_flip(self) -> bool:
        """Only the sign bit differs: uint8 and int8 of one scale, zero points 128 apart."""
        return bool(np.array_equal(self.table, _BYTES ^ 0x80))

    @property
    def is_clamp(self) -> bool:
        """Input and output, both int8, differ by limits only."""
        low, high = self.limits
        values = _BYTES.view(np.int8)
        return bool(np.array_equal(self.table.view(np.int8), np.clip(values, low, high)))

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest output, read as int8."""
        values = self.table.view(np.int8)
        return int(values.min()), int(values.max())

    def apply(self, x: Array) -> Array:
        """The output for int8 or uint8 of any shape."""
        return self.table[x.view(np.uint8)].view(self.dtype.numpy)

    def call(self, node: Node, kernel: Kernel) -> KernelCall | None:
        """The call of one of the kernels below; None for the identity."""
        if self.is_identity:
            return None
        fields: dict[str, FieldValue]
        if kernel in LUTS:
            table = Constant("table", self.table.view(np.int8), align=1)
            struct, fields = "td_lut", {"table": table, "count": self.elements}
        elif kernel in FLIPS:
            struct, fields = "td_flip", {"count": self.elements}
        else:
            low, high = self.limits
            struct, fields = "td_limits", {"count": self.elements, "low": low, "high": high}
        return call(node, kernel, struct, "td_lut.h", fields)


def _is_clamp(params: object) -> bool:
    return isinstance(params, ByteMap) and params.is_clamp


def _is_flip(params: object) -> bool:
    return isinstance(params, ByteMap) and params.is_flip


def _is_any(params: object) -> bool:
    return isinstance(params, ByteMap)


FLIPS = (
    Kernel("td_s8_flip__mve", Isa.MVE, _is_flip),
    Kernel("td_s8_flip__scalar", Isa.SCALAR, _is_flip),
)
CLAMPS = (
    Kernel("td_s8_clamp__mve", Isa.MVE, _is_clamp),
    Kernel("td_s8_clamp__dsp", Isa.DSP, _is_clamp),
    Kernel("td_s8_clamp__scalar", Isa.SCALAR, _is_clamp),
)
LUTS = (
    Kernel("td_s8_lut__mve", Isa.MVE, _is_any),
    Kernel("td_s8_lut__scalar", Isa.SCALAR, _is_any),
)


def tabulate(
    view: OperatorView,
    function: Callable[[Array], Array],
    source: DType = DType.INT8,
    result: DType = DType.INT8,
) -> ByteMap:
    """Evaluates `function` on all 256 values of `source`.

    Args:
        view: The operator; its input and output must have one shape.
        function: int64 [256] to integers that `result` can hold.
        source, result: INT8 or UINT8.
    """
    shapes = view.input(0).shape, view.output(0).shape
    if shapes[0] != shapes[1]:
        view.fail(f"input has shape {list(shapes[0])}, output has {list(shapes[1])}")
    values = _BYTES.view(source.numpy).astype(np.int64)
    table = function(values).astype(result.numpy).view(np.uint8)
    return ByteMap(table, result, view.output(0).elements)


class Elementwise(Protocol):
    """The `Params` of an operator whose outputs depend on one input element each."""

    def apply(self, x: Array) -> Array:
        """The output for an array of any shape."""

    def call(self, node: Node, kernel: Kernel) -> KernelCall | None:
        """The call of one of its kernels; None where the output is the input."""


def reference(params: Elementwise, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    (x,) = inputs
    assert x is not None
    return (params.apply(x),)


def lower(node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:  # noqa: ARG001
    params: Elementwise = node.params
    return params.call(node, kernel)


def call(
    node: Node, kernel: Kernel, struct: str, header: str, fields: Mapping[str, FieldValue]
) -> KernelCall:
    """The call of a kernel from one tensor to another, which may be the same memory."""
    return KernelCall(
        layer=node.index,
        op=node.op,
        kernel=kernel,
        struct=struct,
        header=header,
        fields=fields,
        inputs=(node.inputs[0],),
        outputs=(node.outputs[0],),
        in_place=((0, 0),),
    )
