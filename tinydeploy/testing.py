"""A board, emulated or real, for a user's own tests: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from . import pipeline
from .build import BuildRequest
from .errors import InputError
from .graph import Array
from .pipeline import Built
from .quantize.subject import Port, port_of
from .runners.base import Runner, Unit
from .wire import Client


class Device:
    """A running firmware.

    Attributes:
        board: The board's name.
        counts: What `count` counts: "instructions" in an emulator, "cycles" on a board,
            "nanoseconds" on the host.
        count: What the last inference took; 0 before the first.
        flash_bytes, ram_bytes: What the firmware takes; None on the host.
    """

    def __init__(self, built: Built, client: Client, counts: Unit) -> None:
        graph = built.prepared.graph
        self._client = client
        self._inputs = [port_of(graph.tensors[t]) for t in graph.inputs]
        self._outputs = [port_of(graph.tensors[t]) for t in graph.outputs]
        self.board = built.prepared.board.name
        self.counts = counts
        self.count = 0
        memory = built.report.memory
        self.flash_bytes = memory.flash_bytes if memory else None
        self.ram_bytes = memory.ram_bytes if memory else None

    def run(self, *inputs: Array) -> Array | tuple[Array, ...]:
        """Runs the model on the device.

        Args:
            inputs: One array an input of the model: of its shape, or without the batch dimension
                of 1, or with N in its place; the N samples run one by one.
                Stored integers of the input's own type are taken as they are. Real numbers are
                quantised, and answered with real numbers.

        Returns:
            The output, or a tuple of them where the model has several, with the batch dimension
            that the inputs had.

        Raises:
            InputError: The arrays are not the model's inputs.
            DeviceError: The device crashed or fell silent.
        """
        if len(inputs) != len(self._inputs):
            raise InputError(f"{len(inputs)} arrays for a model of {len(self._inputs)} inputs")
        arrays = [np.asarray(value) for value in inputs]
        batches = [_batch(a, port) for a, port in zip(arrays, self._inputs, strict=True)]
        counts = {len(batch) for batch in batches}
        if len(counts) != 1:
            raise InputError(f"the inputs have {sorted(counts)} samples, one count is due")
        is_real = any(
            a.dtype.kind == "f" and port.scale for a, port in zip(arrays, self._inputs, strict=True)
        )
        rows = [self._infer(sample, is_real) for sample in zip(*batches, strict=True)]
        extra = arrays[0].ndim - len(self._inputs[0].shape)
        outputs = tuple(_joined(column, extra) for column in zip(*rows, strict=True))
        return outputs if len(outputs) > 1 else outputs[0]

    def _infer(self, sample: tuple[Array, ...], is_real: bool) -> list[Array]:
        stored = [port.stored(v) for v, port in zip(sample, self._inputs, strict=True)]
        answer = self._client.infer([value.tobytes() for value in stored])
        self.count = answer.count
        found = []
        for data, port in zip(answer.outputs, self._outputs, strict=True):
            value = np.frombuffer(data, port.dtype).reshape(port.shape)
            found.append(port.real(value) if is_real else value)
        return found


@contextmanager
def opened(
    request: BuildRequest,
    runner: str | Runner | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Iterator[Device]:
    """Builds a firmware, starts it, and ends it when the block is left.

    Args:
        request: What to build.
        runner: As of `pipeline.find_runner()`.
        on_line: Told each step of SCons.

    Raises:
        InputError: The model, the board or the runner was rejected.
        RequestError: It does not fit, cannot be built, or cannot be run here.
    """
    prepared = pipeline.prepare(request)
    chosen = pipeline.find_runner(runner, prepared.board)
    built = pipeline.build(request, on_line=on_line, prepared=prepared)
    macs = sum(call.macs for call in prepared.plan.calls)
    with chosen.open(built.firmware) as transport:
        client = Client(transport, built.firmware, sha256=prepared.graph.sha256, macs=macs)
        yield Device(built, client, transport.counts)


def _batch(value: Array, port: Port) -> list[Array]:
    """The samples in an array of one or of several, each of the port's shape."""
    if value.dtype != port.dtype and value.dtype.kind not in "f":
        raise InputError(f"an array is {value.dtype}, the input {port.name!r:.60} is {port.dtype}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise InputError(f"an array for the input {port.name!r:.60} holds NaN or infinity")
    is_single = port.shape[:1] == (1,)
    if value.shape == port.shape or (is_single and value.shape == port.shape[1:]):
        return [value.reshape(port.shape)]
    shapes = (port.shape, port.shape[1:]) if is_single else (port.shape,)
    if value.shape[1:] in shapes and len(value):
        return [row.reshape(port.shape) for row in value]
    raise InputError(
        f"an array is {list(value.shape)}, the input {port.name!r:.60} is {list(port.shape)}"
    )


def _joined(answers: tuple[Array, ...], extra: int) -> Array:
    """The answers of all samples, whose array had `extra` dimensions more than the model's."""
    if extra > 0:
        return np.stack(answers)
    if answers[0].shape[:1] != (1,):
        return answers[0] if len(answers) == 1 else np.stack(answers)
    return answers[0][0] if extra < 0 else np.concatenate(answers)
