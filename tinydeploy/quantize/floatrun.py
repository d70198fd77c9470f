"""LiteRT runs a float model on this machine, layer by layer where asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph import Array
from .modelfile import need
from .subject import Port, litert_refusals


class Runner:
    """Runs a `.tflite` file in LiteRT, with plain kernels: no delegate fuses or reorders.

    Args:
        content: The file, of any scheme that LiteRT runs.
        keep: Keep every tensor, so that `tensor()` can be asked for any.

    Attributes:
        inputs, outputs: What it takes and gives.
    """

    def __init__(self, content: bytes, *, keep: bool = False) -> None:
        litert = need("ai_edge_litert.interpreter")
        with litert_refusals("the model"):
            self._interpreter: Any = litert.Interpreter(
                model_content=content,
                num_threads=1,
                experimental_preserve_all_tensors=keep,
                experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

        self.inputs = tuple(_port(detail) for detail in self._inputs)
        self.outputs = tuple(_port(detail) for detail in self._outputs)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs as the file has them: of its shapes and types."""
        with litert_refusals("the model"):
            for detail, value in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(detail["index"], value.reshape(detail["shape"]))
            self._interpreter.invoke()
            return tuple(self._interpreter.get_tensor(d["index"]) for d in self._outputs)

    def tensor(self, index: int) -> Array:
        """A tensor's content after a run; needs `keep`."""
        content: Array = self._interpreter.get_tensor(index)
        return content


def _port(detail: Any) -> Port:
    scale, zero = detail["quantization"]
    shape = tuple(int(d) for d in detail["shape"])
    return Port(str(detail["name"]), shape, np.dtype(detail["dtype"]), float(scale), int(zero))
