"""What a device with the verify firmware tells, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import RequestError
from .fault import Registers


class DeviceError(RequestError):
    """The device answered, and could not do what it was asked."""


class DeviceSilent(DeviceError):
    """The device stopped answering, or never did."""


class DeviceMismatch(DeviceError):
    """The device runs another model or speaks another protocol."""


class DeviceRestarted(DeviceError):
    """The device has forgotten us, or what we loaded: it was reset in the middle."""


class DeviceFault(DeviceError):
    """The processor took a fault.

    Attributes:
        registers: What the core had stacked.
        symbol: The function at the faulting instruction, empty when unknown.
    """

    def __init__(self, message: str, registers: Registers, symbol: str) -> None:
        super().__init__(message)
        self.registers = registers
        self.symbol = symbol


@dataclass(frozen=True)
class Hello:
    """What a device says of itself.

    Attributes:
        data_bytes: The largest data of one frame.
        counter_hz: Rate of the counter that times runs.
        init_count: What td_model_init() took, in the transport's unit.
        inputs, outputs: Bytes of each tensor.
        layers: How many steps a run has.
        sha256: Of the model, hex.
    """

    board: str
    sha256: str
    data_bytes: int
    counter_hz: int
    init_count: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: int


@dataclass(frozen=True)
class LayerResult:
    """One step of a run.

    Attributes:
        index: The operator's number in the `.tflite` file.
        count: What the step took, in the transport's unit.
        output: Its output's bytes.
    """

    index: int
    count: int
    output: bytes


@dataclass(frozen=True)
class Inference:
    """A run of the model.

    Attributes:
        outputs: Each output's bytes.
        count: What the run took, in the transport's unit.
        layers: Each step, when it was run step by step; then `count` is their sum.
    """

    outputs: tuple[bytes, ...]
    count: int
    layers: tuple[LayerResult, ...] = ()
