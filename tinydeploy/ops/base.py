"""What an operator's file offers. Each module of this package satisfies `Operator`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from ..errors import InputError
from ..graph import Array, DType, Graph, Node, Tensor
from ..plan.plan import Kernel, KernelCall
from ..tflite.options import Options


@dataclass(frozen=True)
class OperatorView:
    """An operator as it stands in the file: what `parse()` gets to see.

    Attributes:
        index: Its number in the file.
        name: TFLite's operator name.
        inputs: Tensors in TFLite's order, None where an optional one is absent.
        outputs: Tensors.
        options: The builtin options' table; reads defaults where the file leaves them out.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Options

    def fail(self, message: str, hint: str = "") -> NoReturn:
        """Refuses the operator, naming it."""
        raise InputError(f"layer {self.index} {self.name}: {message}", hint)

    def input(self, position: int, *dtypes: DType, rank: int | None = None) -> Tensor:
        """A required input, checked for presence, dtype and rank."""
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            self.fail(f"input {position} is missing")
        return self._checked(tensor, f"input {position}", dtypes, rank)

    def constant(self, position: int, *dtypes: DType, rank: int | None = None) -> Tensor:
        """A required input that must be a constant."""
        tensor = self.input(position, *dtypes, rank=rank)
        if not tensor.is_constant:
            self.fail(f"input {position} must be a constant, and is computed at run time")
        return tensor

    def optional(self, position: int, *dtypes: DType) -> Tensor | None:
        """An optional input, None where absent; checked where present."""
        if position >= len(self.inputs) or self.inputs[position] is None:
            return None
        return self.input(position, *dtypes)

    def output(self, position: int, *dtypes: DType, rank: int | None = None) -> Tensor:
        if position >= len(self.outputs):
            self.fail(f"output {position} is missing")
        return self._checked(self.outputs[position], f"output {position}", dtypes, rank)

    def per_tensor(self, tensor: Tensor) -> tuple[float, int]:
        """(scale, zero point) of a tensor that must have exactly one of each."""
        q = tensor.quantization
        if q is None or len(q.scales) != 1:
            self.fail(f"tensor {tensor.index} has {len(q.scales) if q else 0} scales, needs one")
        return q.scales[0], q.zero_points[0]

    def _checked(
        self, tensor: Tensor, what: str, dtypes: tuple[DType, ...], rank: int | None
    ) -> Tensor:
        if dtypes and tensor.dtype not in dtypes:
            wanted = " or ".join(d.value for d in dtypes)
            self.fail(f"{what} is {tensor.dtype.value}, supported is {wanted}")
        if rank is not None and len(tensor.shape) != rank:
            self.fail(f"{what} has {len(tensor.shape)} dimensions, needs {rank}")
        return tensor


class Operator(Protocol):
    """The module of an operator.

    Attributes:
        NAME: TFLite's operator name.
        KERNELS: Candidates, best first; the last applies to everything that `parse()` accepts.
            Empty when the output always is the input's bytes (RESHAPE).
    """

    @property
    def NAME(self) -> str: ...  # noqa: N802

    @property
    def KERNELS(self) -> tuple[Kernel, ...]: ...  # noqa: N802

    def parse(self, view: OperatorView) -> Any:
        """The operator's `Params`: a frozen dataclass with all that the kernel is told.

        Raises:
            InputError: Something about it is not supported or inconsistent (by `view.fail`).
        """

    def reference(self, params: Any, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """Computes it in NumPy, bit for bit as TFLite Micro's reference kernel does.

        Args:
            params: What `parse()` returned.
            inputs: All inputs in TFLite's order, constants too, None where absent.
        """

    def lower(self, node: Node, graph: Graph, kernel: Kernel) -> KernelCall | None:
        """The call that computes the node; None when the output is the input's bytes."""
