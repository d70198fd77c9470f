"""The wire's host end against a device written in Python from docs/protocol.md."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import REPOSITORY
from tinydeploy import frames, wire
from tinydeploy.fault import Registers
from tinydeploy.frames import Frame, Kind, Status, Type
from tinydeploy.runners.base import ClosesOnExit, Unit
from tinydeploy.wire import Client

SHA256 = "ab" * 32


@dataclass
class Device(ClosesOnExit):
    """A device whose model adds one to each byte, in place.

    Attributes:
        on_request: May answer in the device's stead: the bytes to send, or None to go on.
    """

    on_request: Callable[[Frame], bytes | None] = lambda frame: None
    arena: bytearray = field(default_factory=lambda: bytearray(1000))
    counts: Unit = "instructions"
    protocol: int = 1
    session: int = 0
    sequence: int = 0
    runs: int = 0
    requests: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._out = bytearray()
        self._last = b""

    def write(self, data: bytes) -> None:
        for packet in data.split(b"\0"):
            frame = frames.decode(packet)
            if frame is not None:
                self.requests.append(frame)
                answer = self.on_request(frame)
                self._out += self.answer(frame) if answer is None else answer

    def read(self, timeout_s: float) -> bytes:  # noqa: ARG002
        out = bytes(self._out)
        self._out.clear()
        return out

    def scale(self, ticks: int, hz: int) -> int:  # noqa: ARG002
        return ticks

    def diagnose(self) -> str | None:
        return None

    def close(self) -> None:
        pass

    def reset(self) -> None:
        self.session = 0
        self.arena = bytearray(1000)

    def answer(self, frame: Frame) -> bytes:
        if frame.type == Type.HELLO and frame.session != self.session:
            self.session, self.sequence = frame.session, frame.sequence - 1
        if frame.session != self.session:
            return reply(frame, b"", Status.NO_SESSION)
        if frame.sequence < self.sequence:
            return b""
        if frame.sequence > self.sequence:
            self.sequence = frame.sequence
            self._last = self.carry_out(frame)
        return self._last

    def carry_out(self, frame: Frame) -> bytes:
        data = frame.data
        if frame.type == Type.HELLO:
            numbers = struct.pack("<7I", self.protocol, 240, 1_000_000, 17, 1, 1, 1)
            return reply(frame, numbers + bytes.fromhex(SHA256) + b"pretend")
        if frame.type == Type.TENSOR:
            return reply(frame, struct.pack("<II", len(self.arena), 5))
        if frame.type == Type.LOAD:
            _, offset = struct.unpack_from("<II", data)
            self.arena[offset : offset + len(data) - 8] = data[8:]
            return reply(frame, b"")
        if frame.type in (Type.RUN, Type.STEP):
            if zlib.crc32(self.arena) != int.from_bytes(data[:4], "little"):
                return reply(frame, bytes(4), Status.NOT_READY)
            self.runs += 1
            self.arena = bytearray((byte + 1) % 256 for byte in self.arena)
            return reply(frame, (123).to_bytes(4, "little"))
        if frame.type == Type.READ:
            _, _, offset, size = struct.unpack("<IIII", data)
            return reply(frame, bytes(self.arena[offset : offset + size]))
        return reply(frame, b"", Status.REFUSED)


def reply(frame: Frame, data: bytes, status: Status = Status.OK) -> bytes:
    return frames.encode(replace(frame, type=frame.type | 0x80, status=status, data=data))


SAMPLE = bytes(i * 7 % 256 for i in range(1000))
ANSWER = bytes((i * 7 + 1) % 256 for i in range(1000))


@given(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1),
    st.binary(max_size=240),
)  # fmt: skip
def test_a_frame_survives_the_line(kind: int, status: int, session: int, seq: int, data: bytes):
    frame = Frame(kind, status, session, seq, data)
    line = frames.encode(frame)
    assert line[0] == line[-1] == 0
    assert 0 not in line[1:-1]
    assert frames.decode(line[1:-1]) == frame


@given(st.binary(max_size=300))
def test_garbage_is_no_frame(data: bytes):
    assert frames.decode(data) is None


@given(st.data())
def test_one_changed_byte_is_noticed(data: st.DataObject):
    line = bytearray(
        frames.encode(Frame(Type.LOAD, 0, 7, 9, data.draw(st.binary(max_size=50))))[1:-1]
    )
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert all(frames.decode(bytes(part)) is None for part in line.split(b"\0"))


def test_example_of_the_documentation():
    hello = frames.encode(Frame(Type.HELLO, 0, 0x1234, 1, b""))
    assert hello.hex(" ") == "00 02 01 04 34 12 01 01 01 05 cb 39 ff 94 00"


def test_inference():
    client = Client(Device(), sha256=SHA256)
    hello = client.hello()
    assert (hello.board, hello.inputs, hello.outputs, hello.layers) == (
        "pretend",
        (1000,),
        (1000,),
        1,
    )
    assert (hello.init_count, hello.counter_hz) == (17, 1_000_000)
    result = client.infer([SAMPLE])
    assert result == wire.Inference((ANSWER,), 123)
    layers = client.infer([SAMPLE], layers=True)
    assert layers.layers == (wire.LayerResult(5, 123, ANSWER),)
    assert (client.retries, client.restarts) == (0, 0)


def test_a_lost_reply_does_not_run_twice():
    lost: list[Frame] = []

    def lose_first_run(frame: Frame) -> bytes | None:
        if frame.type == Type.RUN and not lost:
            lost.append(frame)
            device.answer(frame)
            return b""
        return None

    device = Device(lose_first_run)
    client = Client(device)
    assert client.infer([SAMPLE]).outputs == (ANSWER,)
    assert (device.runs, client.retries) == (1, 1)


def test_replies_that_come_too_late_are_passed_over():
    held: list[bytes] = []

    def answer_late(frame: Frame) -> bytes:
        held.append(device.answer(frame))
        return b"".join(held[-4:]) if len(held) % 2 == 0 else b""

    device = Device(answer_late)
    client = Client(device)
    assert client.infer([SAMPLE]).outputs == (ANSWER,)
    assert client.retries > 0


def test_old_requests_that_come_again_change_nothing():
    seen: list[Frame] = []

    def repeat_old_ones(frame: Frame) -> bytes:
        replies = b"".join(device.answer(old) for old in seen[-6:])
        seen.append(frame)
        return replies + device.answer(frame) + b"".join(device.answer(old) for old in seen[:-1])

    device = Device(repeat_old_ones)
    assert Client(device).infer([SAMPLE]).outputs == (ANSWER,)
    assert device.runs == 1


@pytest.mark.parametrize("kind", [Type.LOAD, Type.RUN, Type.READ, Type.TENSOR])
def test_a_device_that_was_reset_begins_again(kind: Type):
    resets: list[Frame] = []

    def reset_once(frame: Frame) -> None:
        if frame.type == kind and not resets:
            resets.append(frame)
            device.reset()

    device = Device(reset_once)
    client = Client(device)
    assert client.infer([SAMPLE]).outputs == (ANSWER,)
    assert client.restarts == 1


def test_a_device_that_is_always_reset_is_an_error():
    def reset(frame: Frame) -> None:
        if frame.type == Type.RUN:
            device.reset()

    device = Device(reset)
    with pytest.raises(wire.DeviceRestarted, match="reset before RUN"):
        Client(device).infer([SAMPLE])


def test_another_model_is_refused_with_both_hashes():
    with pytest.raises(wire.DeviceMismatch) as caught:
        Client(Device(), sha256="cd" * 32).hello()
    assert SHA256 in caught.value.message
    assert "cd" * 32 in caught.value.message


def test_another_protocol_is_refused():
    with pytest.raises(wire.DeviceMismatch, match="protocol 9"):
        Client(Device(protocol=9)).hello()


def test_silence_ends():
    client = Client(Device(lambda frame: b""), silence_s=0.1)
    with pytest.raises(wire.DeviceSilent, match="did not answer HELLO"):
        client.hello()
    assert client.retries == wire.MOST_TRIES


def test_a_flood_of_garbage_ends_and_is_shown():
    device = Device()
    device.read = lambda timeout_s: b"Booting... " * 100  # type: ignore[method-assign]
    client = Client(device, silence_s=0.1)
    client._least_s[Type.HELLO] = 0.0
    with pytest.raises(wire.DeviceSilent, match="Booting"):
        client.hello()
    assert len(client.console) <= frames.MOST_CONSOLE_BYTES


def test_text_between_frames_is_kept():
    client = Client(Device(lambda frame: b"hello, world\r\n" + device.answer(frame)))
    device = client._transport
    assert isinstance(device, Device)
    assert client.infer([SAMPLE]).outputs == (ANSWER,)
    assert "hello, world" in client.console


def test_a_fault_is_told():
    registers = Registers(
        1, 2, 3, 4, 5, 6, 0x0800_0123, 0x0100_0000, cfsr=1 << 9 | 1 << 15, bfar=16
    )

    def fault(frame: Frame) -> bytes | None:
        if frame.type == Type.RUN:
            return frames.encode(Frame(0x87, 3, frame.session, frame.sequence, registers.pack()))
        return None

    with pytest.raises(
        wire.DeviceFault, match=r"during RUN.*no memory is \(0x00000010\)"
    ) as caught:
        Client(Device(fault)).infer([SAMPLE])
    assert caught.value.registers == registers
    assert "(r0=0x00000001 r1=0x00000002 " in caught.value.message
    assert " lr=0x00000006 pc=0x08000123 " in caught.value.message


def test_what_does_not_fit_the_model_is_refused():
    with pytest.raises(wire.DeviceError, match="input 0 is 1000 bytes on the device, 999"):
        Client(Device()).infer([SAMPLE[:-1]])
    with pytest.raises(wire.DeviceError, match="1 inputs on the device, 2"):
        Client(Device()).infer([SAMPLE, SAMPLE])


def test_chunks_shrink_on_a_bad_line():
    device = Device(lambda frame: b"" if len(frame.data) > 100 else None)
    client = Client(device)
    assert client.infer([SAMPLE]).outputs == (ANSWER,)
    assert client.retries > 0


def test_numbers_are_those_of_the_header():
    header = (REPOSITORY / "firmware_templates" / "verify" / "wire.h").read_text("utf-8")
    for prefix, numbers in (("KIND_", Kind), ("STATUS_", Status), ("", Type)):
        told = dict(re.findall(rf"\bTD_{prefix}([A-Z]+(?:_[A-Z]+)*) = (\d+)\b", header))
        assert prefix == "" or len(told) == len(numbers)
        assert {m.name: str(m.value) for m in numbers}.items() <= told.items()
