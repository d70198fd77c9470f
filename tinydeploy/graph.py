"""The network as tinydeploy sees it: tensors, and nodes in execution order.

A `Graph` is immutable. Transforms return a new one; every decision about how to run it is
made in `plan`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .tflite.options import Options

Array = NDArray[Any]


class DType(Enum):
    """An element type, by TFLite's name; the value is NumPy's name for it."""

    FLOAT32 = "float32"
    INT32 = "int32"
    UINT8 = "uint8"
    INT64 = "int64"
    BOOL = "bool"
    INT16 = "int16"
    INT8 = "int8"

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.value)

    @property
    def bytes(self) -> int:
        return self.numpy.itemsize


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation: real = scale * (stored - zero_point).

    Attributes:
        scales: One scale, or one per index along `axis`; each is exactly a float32.
        zero_points: As many as `scales`.
        axis: The dimension that per-channel scales run along.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Kept:
    """Which channels of a tensor of the file are computed.

    Attributes:
        channels: Their indices along the last dimension, in order.
        of: How many the file has.
    """

    channels: tuple[int, ...]
    of: int

    def take(self, whole: Array) -> Array:
        """These channels of [..., of]."""
        return np.ascontiguousarray(whole[..., list(self.channels)])


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph.

    Attributes:
        index: Its number in the graph, and in the `.tflite` file where it stands there.
        name: As the model has it: any text at all, never to be printed into C unescaped.
        shape: Static dimensions, () for a scalar. Activations are [N, H, W, C].
        data: The constant's elements, of `shape` and `dtype`; None for a runtime tensor.
        kept: Which channels it has of those in the file; None: all.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None = None
    data: Array | None = field(default=None, repr=False)
    kept: Kept | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * self.dtype.bytes

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def scale(self) -> float:
        """The per-tensor scale; only for tensors that `parse()` has checked to have one."""
        assert self.quantization is not None
        return self.quantization.scales[0]

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point; only for tensors that `parse()` has checked to have one."""
        assert self.quantization is not None
        return self.quantization.zero_points[0]


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the network, a *layer* in everything that is shown to the user.

    Attributes:
        index: Its number in the `.tflite` file; survives every transform.
        op: TFLite's operator name, such as "CONV_2D"; the key into `ops.OPERATORS`.
        inputs: Tensor indices in TFLite's order; -1 for an optional input that is absent.
        outputs: Tensor indices.
        params: The operator's own frozen `Params`, with everything `parse()` derived.
        options: What `parse()` derived them from, beside the tensors.
    """

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Any
    options: Options | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: tensors by index, nodes in execution order.

    Attributes:
        name: The file's stem; a label, not an identifier.
        sha256: Hex digest of the `.tflite` bytes it came from.
        size_bytes: How many bytes those were.
        inputs: Indices of the runtime tensors the user fills, in the model's order.
        outputs: Indices of the tensors the user reads.
    """

    name: str
    sha256: str
    size_bytes: int
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def node_inputs(self, node: Node) -> tuple[Tensor | None, ...]:
        """The node's input tensors, None where an optional one is absent."""
        return tuple(None if i < 0 else self.tensors[i] for i in node.inputs)

    def node_outputs(self, node: Node) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in node.outputs)
