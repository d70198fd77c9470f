"""The evaluation set on a device, emulated or real, over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import pipeline, settings
from ..build import BuildRequest
from ..errors import InputError
from ..graph import Array
from ..report.evaluation import DeviceRun
from ..report.report import Tool
from ..runners import RUNNERS
from ..runners.serial import AUTO, SerialRunner
from ..wire import Client
from .subject import Subject


@dataclass(frozen=True)
class Where:
    """Which device.

    Attributes:
        runner: A key of RUNNERS.
        board: A board's name; None for the one of tinydeploy.toml, or this machine for "host".
        folders: Of the user's own boards.
        port: Of "serial", as `SerialRunner` takes it; None looks for the board's.
    """

    runner: str
    board: str | None = None
    folders: tuple[Path, ...] = ()
    port: str | None = None

    def request(self, model: Path) -> BuildRequest:
        """What is built of a model to run it there.

        Raises:
            InputError: No board was named.
        """
        found = settings.find()
        board = "host" if self.runner == "host" else self.board or found.board
        if board is None:
            raise InputError(
                f"--on {self.runner} needs a board",
                f"tinydeploy evaluate {model} --on {self.runner} --board nucleo_l4r5zi --eval …",
            )
        return BuildRequest(
            model=model,
            board=board,
            engine=found.engine or "aot",
            toolchain=found.toolchain or "auto",
            optimize=found.opt or "speed",
            board_folders=(*self.folders, *found.boards),
            cache=found.cache,
        )


class Device:
    """A running firmware, asked for one inference after the other and held against the oracle.

    Args:
        subject: What its oracle computes.
        client: Connected to the firmware.
    """

    def __init__(self, subject: Subject, client: Client) -> None:
        self._subject = subject
        self._client = client
        self._inferences = 0
        self._equal = 0
        self._most = 0

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Stored inputs to the device's stored outputs.

        Raises:
            DeviceError: The device crashed, fell silent, or holds another model.
        """
        answer = self._client.infer([value.tobytes() for value in inputs])
        expected = self._subject.run(inputs)
        self._inferences += 1
        self._most = max(self._most, answer.count)
        self._equal += all(
            got == np.ascontiguousarray(wanted).tobytes()
            for got, wanted in zip(answer.outputs, expected, strict=True)
        )
        return tuple(
            np.frombuffer(data, port.dtype).reshape(port.shape)
            for data, port in zip(answer.outputs, self._subject.outputs, strict=True)
        )

    def result(self, board: str, runner: Tool, counter: str) -> DeviceRun:
        """What came of all runs."""
        return DeviceRun(
            board=board,
            runner=runner,
            inferences=self._inferences,
            equal=self._equal,
            oracle=self._subject.engine,
            counter=counter,
            inference=self._most if counter in ("instructions", "cycles") else None,
            retries=self._client.retries,
        )


@contextmanager
def opened(
    subject: Subject, where: Where, on_line: Callable[[str], None]
) -> Iterator[tuple[Device, Callable[[], DeviceRun]]]:
    """Builds the model's firmware, starts it, and ends it afterwards.

    Yields:
        The device, and what tells the result.

    Raises:
        InputError: The runner or the board is unknown.
        RequestError: It does not fit, cannot be built, or cannot be run there.
    """
    if where.runner not in RUNNERS:
        raise InputError(f"unknown runner {where.runner!r}", f"--on {' | '.join(RUNNERS)}")
    runner = RUNNERS[where.runner]
    if where.runner == "serial":
        runner = SerialRunner(where.port or AUTO, on_line)
    built = pipeline.build(where.request(subject.path), on_line=on_line)
    board = built.prepared.board
    runner.check(board)
    macs = sum(call.macs for call in built.prepared.plan.calls)
    with runner.open(built.firmware) as transport:
        client = Client(transport, built.firmware, sha256=built.prepared.graph.sha256, macs=macs)
        device = Device(subject, client)
        tool = Tool(runner.name, runner.version)
        yield device, lambda: device.result(board.name, tool, transport.counts)
