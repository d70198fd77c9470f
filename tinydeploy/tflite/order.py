"""Whether a file's operators can run in the order in which they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

from ..errors import InputError
from ..graph import Tensor

# What depends on constants alone is computed before the build, within reason.
_LARGEST_FOLDED_BYTES = 16 << 20


class Layer(Protocol):
    """What is to be known of an operator; its `str()` is "layer 3 CONV_2D"."""

    @property
    def inputs(self) -> tuple[int, ...]: ...

    @property
    def outputs(self) -> tuple[int, ...]: ...


def check_order(
    label: str,
    tensors: Sequence[Tensor],
    layers: Sequence[Layer],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> None:
    """Refuses a network whose layers do not follow from one another.

    Args:
        label: What errors call the file.
        tensors: All tensors; every index below is one of theirs, but for -1 in layers' inputs.
        layers: In the file's order.
        inputs, outputs: The network's.

    Raises:
        InputError: A tensor is read before it is written, written twice, or never; or the
            network's inputs or outputs are not what is to be filled and read.
    """

    def refuse(message: str, hint: str = "") -> NoReturn:
        raise InputError(f"{label}: {message}", hint)

    _check_inputs(refuse, tensors, inputs)
    writer = {i: str(layer) for layer in layers for i in layer.outputs}
    written: dict[int, str] = dict.fromkeys(inputs, "the network's input")
    # What depends on the network's inputs: other layers can be computed before the build.
    varying = set(inputs)
    for layer in layers:
        _check_reads(refuse, tensors, layer, written, writer)
        if len(layer.outputs) != 1:
            refuse(f"{layer} writes {len(layer.outputs)} tensors, supported is one")
        (sink,) = layer.outputs
        if tensors[sink].is_constant:
            refuse(f"{layer} writes tensor {sink}, which is a constant")
        if sink in written:
            refuse(f"{layer} writes tensor {sink}, which {written[sink]} writes too")
        written[sink] = str(layer)
        if not varying.isdisjoint(layer.inputs):
            varying.add(sink)
        elif tensors[sink].bytes > _LARGEST_FOLDED_BYTES:
            refuse(
                f"{layer} computes {tensors[sink].bytes} bytes from constants alone, "
                f"at most {_LARGEST_FOLDED_BYTES}"
            )
    _check_outputs(refuse, tensors, outputs, varying, written, inputs)


class _Refuse(Protocol):
    def __call__(self, message: str, hint: str = "") -> NoReturn: ...


def _check_inputs(refuse: _Refuse, tensors: Sequence[Tensor], inputs: Sequence[int]) -> None:
    if not inputs:
        refuse("the network has no inputs")
    for i in inputs:
        if tensors[i].is_constant:
            refuse(f"the network's input, tensor {i}, is a constant")
    _check_distinct(refuse, inputs, "inputs")


def _check_outputs(
    refuse: _Refuse,
    tensors: Sequence[Tensor],
    outputs: Sequence[int],
    varying: set[int],
    written: dict[int, str],
    inputs: Sequence[int],
) -> None:
    if not outputs:
        refuse("the network has no outputs")
    filled = set(inputs)
    for i in outputs:
        if tensors[i].is_constant:
            refuse(f"the network's output, tensor {i}, is a constant: nothing computes it")
        if i in filled:
            refuse(f"the network's output, tensor {i}, is its input too: nothing computes it")
        if i not in written:
            refuse(f"the network's output, tensor {i}, is written by no layer")
        if i not in varying:
            refuse(f"the network's output, tensor {i}, does not depend on its inputs")
    _check_distinct(refuse, outputs, "outputs")


def _check_distinct(refuse: _Refuse, indices: Sequence[int], what: str) -> None:
    seen: set[int] = set()
    for i in indices:
        if i in seen:
            refuse(f"tensor {i} stands twice among the network's {what}")
        seen.add(i)


def _check_reads(
    refuse: _Refuse,
    tensors: Sequence[Tensor],
    layer: Layer,
    written: dict[int, str],
    writer: dict[int, str],
) -> None:
    for i in layer.inputs:
        if i == -1 or tensors[i].is_constant or i in written:
            continue
        if i in writer:
            refuse(
                f"{layer} reads tensor {i}, which {writer[i]} has yet to write: "
                "the layers are out of order, or form a cycle"
            )
        refuse(f"{layer} reads tensor {i}, which nothing writes")
