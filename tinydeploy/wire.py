"""The host's end of the wire: requests to the verify firmware, each answered or timed out.

Frames, requests and the rules that make them safe are described in docs/protocol.md; the device's
end is firmware_templates/verify/.
"""

from __future__ import annotations

import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

from .device import (
    DeviceError,
    DeviceFault,
    DeviceMismatch,
    DeviceRestarted,
    DeviceSilent,
    Hello,
    Inference,
    LayerResult,
)
from .fault import Registers
from .frames import REPLY, Frame, Kind, Receiver, Status, Type, encode

if TYPE_CHECKING:
    from .firmware import Firmware
    from .runners.base import Transport

__all__ = [
    "Client",
    "DeviceError",
    "DeviceFault",
    "DeviceMismatch",
    "DeviceRestarted",
    "DeviceSilent",
    "Hello",
    "Inference",
    "LayerResult",
]

PROTOCOL = 1
SHA256_BYTES = 32

_HELLO = struct.Struct("<7I")

# How long nothing may come back before a request is sent again, and before we give up on it.
FIRST_WAIT_S = 0.25
LONG_WAIT_S = 1.0
LEAST_WAIT_S = 0.2
MOST_WAIT_S = 4.0
MOST_TRIES = 64
LEAST_TRIES = 4
SILENCE_S = 8.0
# A run may take this long: generous for a small core at a few MHz, and for a slow emulation.
RUN_S = 10.0
RUN_S_PER_MAC = 10e-6

LEAST_CHUNK_BYTES = 16
CHUNK_GROWTH_BYTES = 8
MOST_RESTARTS = 3

T = TypeVar("T")


class Client:
    """Asks a verify firmware to run its model.

    Args:
        transport: A running firmware.
        firmware: What runs there, to name the functions at a fault's addresses.
        sha256: Hex digest of the model that must be there; None accepts any.
        macs: The model's multiply-accumulates; how long a run may take grows with them.
        silence_s: How long a request that is not a run may stay unanswered.

    Attributes:
        retries: Requests that had to be sent again.
        restarts: How often the device was found to have been reset.
    """

    def __init__(
        self,
        transport: Transport,
        firmware: Firmware | None = None,
        *,
        sha256: str | None = None,
        macs: int = 0,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.retries = 0
        self.restarts = 0
        self._transport = transport
        self._firmware = firmware
        self._sha256 = sha256
        self._silence_s = silence_s
        self._run_s = max(silence_s, RUN_S + macs * RUN_S_PER_MAC)
        self._session = 0
        self._sequence = 0
        self._receiver = Receiver()
        self._round_trip_s = FIRST_WAIT_S / 4
        # What must at least be waited before a request that may take long is sent again.
        self._least_s = {Type.HELLO: LONG_WAIT_S, Type.RUN: LONG_WAIT_S, Type.STEP: LONG_WAIT_S}
        self._chunk_bytes = LEAST_CHUNK_BYTES
        self._hello: Hello | None = None
        self._loaded: dict[int, bytes] = {}

    @property
    def console(self) -> str:
        """What the device printed that was no frame."""
        return self._receiver.console.decode("ascii", "replace")

    def hello(self) -> Hello:
        """Opens a session, and checks who is there.

        Raises:
            DeviceMismatch: Another protocol or another model.
            DeviceSilent: Nobody is there, or it is no verify firmware.
        """
        self._session = (
            self._session % 0xFFFF + 1 if self._session else secrets.randbelow(65535) + 1
        )
        self._sequence = 0
        reply = self._request(Type.HELLO, b"", self._silence_s, check_status=False)
        data = reply.data
        protocol = int.from_bytes(data[:4], "little")
        if protocol != PROTOCOL or len(data) < _HELLO.size + SHA256_BYTES:
            raise DeviceMismatch(
                f"the device speaks protocol {protocol}, this host speaks {PROTOCOL}",
                "build and flash the firmware again with this version of tinydeploy",
            )
        _, data_bytes, hz, init_ticks, inputs, outputs, layers = _HELLO.unpack_from(data)
        sha256 = data[_HELLO.size : _HELLO.size + SHA256_BYTES].hex()
        board = data[_HELLO.size + SHA256_BYTES :].decode("ascii", "replace")
        if self._sha256 is not None and sha256 != self._sha256:
            raise DeviceMismatch(
                f"{board} holds the model with SHA-256 {sha256}, expected is {self._sha256}",
                "build and flash the firmware again",
            )
        self._chunk_bytes = data_bytes
        if reply.status != Status.OK:
            raise DeviceError(f"td_model_init() failed on {board}{self._why(data_bytes)}")
        self._hello = Hello(
            board=board,
            sha256=sha256,
            data_bytes=data_bytes,
            counter_hz=hz,
            init_count=self._transport.scale(init_ticks, hz),
            inputs=tuple(self._tensor(Kind.INPUT, i)[0] for i in range(inputs)),
            outputs=tuple(self._tensor(Kind.OUTPUT, i)[0] for i in range(outputs)),
            layers=layers,
        )
        return self._hello

    def infer(self, inputs: Sequence[bytes], *, layers: bool = False) -> Inference:
        """Loads all inputs, runs, and reads all outputs; begins again when the device was reset.

        Args:
            inputs: Each input's bytes.
            layers: Run layer by layer, and read each layer's output.

        Raises:
            DeviceError: And its subclasses.
        """
        return self._begin_again_after_restart(lambda: self._infer(inputs, layers))

    def load(self, index: int, data: bytes) -> None:
        """Writes an input; must be done for every input before each run."""
        hello = self._known()
        if len(data) != hello.inputs[index]:
            raise DeviceError(
                f"input {index} is {hello.inputs[index]} bytes on the device, "
                f"{len(data)} bytes were given"
            )
        prefix_bytes = 8

        def part(offset: int, size: int) -> bytes:
            return struct.pack("<II", index, offset) + data[offset : offset + size]

        for _ in self._in_chunks(Type.LOAD, part, len(data), hello.data_bytes - prefix_bytes):
            pass
        self._loaded[index] = data

    def run(self) -> int:
        """Runs the model once. Returns what it took, in the transport's unit."""
        return self._timed(Type.RUN, self._inputs_crc())

    def read(self, index: int) -> bytes:
        """An output's bytes; valid until the next load."""
        return self._read(Kind.OUTPUT, index, self._known().outputs[index])

    def message(self) -> str:
        """What the model's engine says is wrong; "" for nothing."""
        return self._message(self._known().data_bytes)

    def run_layers(self) -> Iterator[LayerResult]:
        """Runs the model step by step, each when it is asked for."""
        for step in range(self._known().layers):
            count = self._timed(Type.STEP, self._inputs_crc() + step.to_bytes(4, "little"))
            size, index = self._tensor(Kind.LAYER, step)
            yield LayerResult(index, count, self._read(Kind.LAYER, step, size))

    def _known(self) -> Hello:
        return self._hello or self.hello()

    def _infer(self, inputs: Sequence[bytes], layers: bool) -> Inference:
        hello = self._known()
        if len(inputs) != len(hello.inputs):
            raise DeviceError(
                f"the model has {len(hello.inputs)} inputs on the device, {len(inputs)} were given"
            )
        for index, data in enumerate(inputs):
            self.load(index, data)
        steps = tuple(self.run_layers()) if layers else ()
        count = sum(step.count for step in steps) if layers else self.run()
        return Inference(tuple(self.read(i) for i in range(len(hello.outputs))), count, steps)

    def _begin_again_after_restart(self, action: Callable[[], T]) -> T:
        for _ in range(MOST_RESTARTS):
            try:
                return action()
            except DeviceRestarted:
                self.restarts += 1
                self._hello = None
        return action()

    def _inputs_crc(self) -> bytes:
        """Of all inputs: the device runs on nothing else."""
        crc = 0
        for index in range(len(self._known().inputs)):
            if index not in self._loaded:
                raise DeviceError(f"input {index} has not been loaded")
            crc = zlib.crc32(self._loaded[index], crc)
        return crc.to_bytes(4, "little")

    def _message(self, data_bytes: int) -> str:
        reply = self._request(
            Type.TENSOR, struct.pack("<II", Kind.MESSAGE, 0), self._silence_s, check_status=False
        )
        if reply.status != Status.OK:  # a firmware from before there were messages
            return ""
        size = int.from_bytes(reply.data[:4], "little")
        text = self._read(Kind.MESSAGE, 0, size, data_bytes)
        return " ".join(text.decode("ascii", "replace").split())

    def _why(self, data_bytes: int) -> str:
        """What the model's engine says is wrong, to be added to an error."""
        try:
            told = self._message(data_bytes)
        except DeviceError:
            return ""
        return f": {told}" if told else ""

    def _tensor(self, kind: Kind, index: int) -> tuple[int, int]:
        """(bytes, operator's number in the file)."""
        reply = self._request(Type.TENSOR, struct.pack("<II", kind, index), self._silence_s)
        size, number = struct.unpack("<II", reply.data)
        return size, number

    def _timed(self, kind: Type, data: bytes) -> int:
        hz = self._known().counter_hz
        reply = self._request(kind, data, self._run_s)
        return self._transport.scale(int.from_bytes(reply.data, "little"), hz)

    def _read(self, kind: Kind, index: int, size: int, data_bytes: int | None = None) -> bytes:
        def part(offset: int, size: int) -> bytes:
            return struct.pack("<IIII", kind, index, offset, size)

        most = data_bytes or self._known().data_bytes
        return b"".join(self._in_chunks(Type.READ, part, size, most))

    def _in_chunks(
        self, kind: Type, part: Callable[[int, int], bytes], total: int, most: int
    ) -> Iterator[bytes]:
        """Moves `total` bytes; on a bad line in chunks so small that some get through."""
        offset = 0
        patience = _Patience(self._silence_s)
        while offset < total:
            size = min(self._chunk_bytes, most, total - offset)
            reply = self._try(kind, part(offset, size), patience.wait_s(self._round_trip_s))
            if reply is None:
                self._chunk_bytes = max(self._chunk_bytes // 2, LEAST_CHUNK_BYTES)
                self._missed(kind, patience)
                continue
            self._check(kind, reply)
            offset += size
            self._chunk_bytes = max(min(self._chunk_bytes + CHUNK_GROWTH_BYTES, most), size)
            patience = _Patience(self._silence_s)
            yield reply.data

    def _request(self, kind: Type, data: bytes, limit_s: float, check_status: bool = True) -> Frame:
        """A request that is sent again, with its number, until it is answered."""
        patience = _Patience(limit_s)
        least_s = self._least_s.get(kind, 0.0)
        self._sequence += 1
        started = time.monotonic()
        while True:
            wait_s = max(least_s, patience.wait_s(self._round_trip_s))
            reply = self._try(kind, data, wait_s, again=patience.tries > 0)
            if reply is not None:
                break
            self._missed(kind, patience)
        if kind in (Type.RUN, Type.STEP):
            self._least_s[kind] = max(FIRST_WAIT_S, 2 * (time.monotonic() - started))
        if check_status or reply.status == Status.NO_SESSION:
            self._check(kind, reply)
        return reply

    def _missed(self, kind: Type, patience: _Patience) -> None:
        self.retries += 1
        patience.tries += 1
        if patience.over:
            self._silent(
                f"the device did not answer {kind.name} in {patience.elapsed_s:.1f} s "
                f"and {patience.tries} tries"
            )

    def _silent(self, message: str) -> NoReturn:
        reason = self._transport.diagnose()
        if reason:
            message += f": {reason}"
        elif self.console:
            message += f"; it printed {self.console[-80:]!r}"
        raise DeviceSilent(message, "tinydeploy doctor")

    def _check(self, kind: Type, reply: Frame) -> None:
        if reply.status in (Status.NO_SESSION, Status.NOT_READY):
            raise DeviceRestarted(f"the device was reset before {kind.name}")
        if reply.status == Status.FAILED:
            why = self._why(self._known().data_bytes) if kind in (Type.RUN, Type.STEP) else ""
            raise DeviceError(f"the model's code reported an error in {kind.name}{why}")
        if reply.status != Status.OK:
            raise DeviceError(f"the device refused {kind.name} with status {reply.status}")

    def _try(
        self, kind: Type, data: bytes, wait_s: float, again: bool | None = None
    ) -> Frame | None:
        """Sends a request once; the reply, None when none came in time.

        Args:
            again: Keep the sequence number; None for a request that stands alone.
        """
        if again is None:
            self._sequence += 1
        started = time.monotonic()
        reply: Frame | None = None
        try:
            self._transport.write(encode(Frame(kind, 0, self._session, self._sequence, data)))
            reply = self._await(kind, started + wait_s)
        except EOFError:
            self._silent(f"the device ended during {kind.name}")
        if reply is not None and not again and kind not in (Type.RUN, Type.STEP):
            elapsed_s = time.monotonic() - started
            self._round_trip_s += (elapsed_s - self._round_trip_s) / 4
        return reply

    def _await(self, kind: Type, deadline: float) -> Frame | None:
        while (left_s := deadline - time.monotonic()) > 0:
            received = self._transport.read(left_s)
            if not received:
                return None
            for frame in self._receiver.frames(received):
                if frame.type == Type.FAULT | REPLY and frame.session in (0, self._session):
                    self._fault(kind, frame)
                if (frame.type, frame.session, frame.sequence) == (
                    kind | REPLY,
                    self._session,
                    self._sequence,
                ):
                    return frame
        return None

    def _fault(self, kind: Type, frame: Frame) -> NoReturn:
        registers = Registers.unpack(frame.data)
        symbol = self._symbol_at(registers.pc)
        caller = self._symbol_at(registers.lr)
        where = f" in {symbol}" if symbol else ""
        # Where no code is, the caller says more than the address.
        if caller and (not symbol or registers.is_bad_jump):
            where = f", called from {caller}"
        raise DeviceFault(
            f"the device faulted during {kind.name}: {registers.cause()} at "
            f"0x{registers.pc:08x}{where} ({registers})",
            registers,
            symbol or "",
        )

    def _symbol_at(self, address: int) -> str | None:
        return self._firmware.symbol_at(address) if self._firmware else None


class _Patience:
    """How long to go on with one request: some tries at least, some seconds at most."""

    def __init__(self, limit_s: float) -> None:
        self.tries = 0
        self._limit_s = limit_s
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def over(self) -> bool:
        return self.tries >= MOST_TRIES or (
            self.tries >= LEAST_TRIES and self.elapsed_s >= self._limit_s
        )

    def wait_s(self, round_trip_s: float) -> float:
        """How long to wait for this try's reply: doubles from try to try."""
        wait_s: float = max(4 * round_trip_s, LEAST_WAIT_S) * 2 ** min(self.tries, 10)
        left_s = self._limit_s - self.elapsed_s
        return max(min(wait_s, MOST_WAIT_S, left_s), LEAST_WAIT_S)
