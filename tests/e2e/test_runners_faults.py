"""Bad lines and bad firmware: a retry or one clear error, never a wrong answer, never a hang."""

from __future__ import annotations

import re

import pytest

from tests.e2e import wirekit
from tests.e2e.wirekit import Faulty, Interposer
from tests.support import require
from tinydeploy import wire
from tinydeploy.firmware import Firmware
from tinydeploy.frames import Type
from tinydeploy.runners import RUNNERS
from tinydeploy.runners.base import Transport
from tinydeploy.runners.unicorn import UnicornTransport
from tinydeploy.wire import Client

pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="session")
def m4(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return wirekit.build("nucleo_l4r5zi", tmp_path_factory.mktemp("m4"))


@pytest.fixture(scope="session")
def m0(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return wirekit.build("nucleo_f030r8", tmp_path_factory.mktemp("m0"))


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return wirekit.build("host", tmp_path_factory.mktemp("host"))


def right(client: Client, seed: int = 0, layers: bool = False) -> None:
    sample = wirekit.inputs(seed)
    assert client.infer(sample, layers=layers).outputs == wirekit.expected(*sample)


def misbehave(firmware: Firmware, first: int, runner: str = "unicorn") -> None:
    """Runs the model once as it should be, then once not, with a short limit for runs."""
    with wirekit.limit(30), RUNNERS[runner].open(firmware) as transport:
        client = Client(transport, firmware, silence_s=1)
        right(client)
        client._run_s = 1.0
        client.infer(wirekit.inputs(0, first))


@pytest.mark.parametrize("kinds", [("drop",), ("double",), ("flip",), ("delay",), None])
def test_a_bad_line_costs_retries(m4: Firmware, kinds: tuple[str, ...] | None):
    kinds = kinds or ("drop", "double", "flip", "delay")
    with wirekit.limit(60), RUNNERS["unicorn"].open(m4) as transport:
        line = Faulty(transport, 0.01, seed=5, kinds=kinds)
        client = Client(line, m4, sha256=wirekit.SHA256)
        for seed in range(3):
            right(client, seed, layers=seed == 1)
        assert line.hurt > 50
        assert client.retries > 0


@pytest.mark.slow
def test_a_bad_line_to_a_program(host: Firmware):
    with wirekit.limit(60), RUNNERS["host"].open(host) as transport:
        client = Client(Faulty(transport, 0.002), host)
        right(client)
        assert client.retries > 0


@pytest.mark.parametrize("seed", range(8))
def test_a_very_bad_line_ends_right_or_not_at_all(m4: Firmware, seed: int):
    with wirekit.limit(60), RUNNERS["unicorn"].open(m4) as transport:
        client = Client(Faulty(transport, 0.04, seed), m4)
        try:
            right(client, seed)
        except (wire.DeviceSilent, wire.DeviceRestarted):
            assert client.retries > 0


@pytest.mark.parametrize("runner", ["host", "unicorn"])
@pytest.mark.parametrize("kind", ["drop", "flip", "double"])
def test_a_dead_line_ends_in_time(host: Firmware, m4: Firmware, runner: str, kind: str):
    firmware = host if runner == "host" else m4
    with wirekit.limit(20), RUNNERS[runner].open(firmware) as transport:
        client = Client(Faulty(transport, 1.0, kinds=(kind,)), firmware, silence_s=1)
        with pytest.raises(wire.DeviceSilent):
            client.hello()


def test_garbage_before_and_between(m4: Firmware):
    def noisy(line: Transport, data: bytes) -> None:
        line.write(bytes(range(256)) * 3 + b"no frame" + data + b"\x05\x00\x00\xff" * 9)

    with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
        right(Client(Interposer(transport, noisy), m4))


def test_old_requests_that_arrive_late(m4: Firmware):
    sent: list[bytes] = []

    def repeats(line: Transport, data: bytes) -> None:
        sent.append(data)
        # An old RUN or LOAD must not touch what was loaded since.
        for old in sent[-40::7]:
            line.write(old)
        line.write(data)

    with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
        client = Client(Interposer(transport, repeats), m4)
        for seed in range(3):
            right(client, seed)


@pytest.mark.parametrize("kind", [Type.LOAD, Type.RUN, Type.STEP, Type.READ])
def test_a_device_that_is_reset_on_the_way(m4: Firmware, kind: Type):
    """As with a reset button: RAM keeps its content, the processor starts anew."""
    resets = []

    def reset(line: Transport, data: bytes) -> None:
        if wirekit.frame_of(data).type == kind and len(resets) < 2:
            resets.append(kind)
            assert isinstance(line, UnicornTransport)
            line._reset()
        line.write(data)

    with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
        client = Client(Interposer(transport, reset), m4)
        right(client, layers=kind is Type.STEP)
        assert client.restarts == 2


def test_another_model_on_the_device(m4: Firmware):
    with (
        RUNNERS["unicorn"].open(m4) as transport,
        pytest.raises(wire.DeviceMismatch, match=wirekit.SHA256),
    ):
        Client(transport, m4, sha256="00" * 32).hello()


def test_undefined_instruction(m4: Firmware):
    with pytest.raises(wire.DeviceFault, match="undefined instruction") as caught:
        misbehave(m4, wirekit.UNDEFINED)
    fault = caught.value
    assert fault.symbol.startswith("first")
    assert fault.registers.pc == m4.symbols["first"].address + int(fault.symbol.split("+")[1], 16)


def test_call_of_a_null_pointer(m4: Firmware):
    with pytest.raises(
        wire.DeviceFault, match="not Thumb code at 0x00000000, called from"
    ) as caught:
        misbehave(m4, wirekit.NULL_CALL)
    assert caught.value.registers.pc == 0


def test_read_of_no_memory(m4: Firmware):
    with pytest.raises(wire.DeviceFault, match=r"no memory is \(0xdead0000\)") as caught:
        misbehave(m4, wirekit.UNMAPPED_READ)
    assert caught.value.symbol.startswith("first")


def test_write_to_flash(m4: Firmware):
    with pytest.raises(wire.DeviceFault, match="no memory"):
        misbehave(m4, wirekit.FLASH_WRITE)


def test_no_more_stack(m4: Firmware):
    with pytest.raises(wire.DeviceSilent, match="locked up: no memory at its stack pointer 0x1fff"):
        misbehave(m4, wirekit.RECURSE)


def test_a_line_that_echoes(m4: Firmware):
    class Echo(Interposer):
        def read(self, timeout_s: float) -> bytes:
            received = self.inner.read(timeout_s)
            self.inner.write(received)
            return received

    def echo(line: Transport, data: bytes) -> None:
        line.write(data)

    with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
        client = Client(Echo(transport, echo), m4)
        right(client)
        assert client.retries == 0


def test_a_cortex_m0_has_no_unaligned_access(m0: Firmware, m4: Firmware):
    with pytest.raises(wire.DeviceFault, match="hard fault"):
        misbehave(m0, wirekit.UNALIGNED)
    misbehave(m4, wirekit.UNALIGNED)


def test_a_fault_is_told_over_a_bad_line(m4: Firmware):
    for seed in range(5):
        with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
            client = Client(Faulty(transport, 0.01, seed), m4)
            with pytest.raises(wire.DeviceFault, match="undefined instruction"):
                client.infer(wirekit.inputs(0, wirekit.UNDEFINED))


def test_a_model_that_never_ends(m4: Firmware, host: Firmware):
    with pytest.raises(wire.DeviceSilent, match=r"did not answer RUN in .* it is running at 0x"):
        misbehave(m4, wirekit.HANG)
    with pytest.raises(wire.DeviceSilent, match="did not answer RUN in"):
        misbehave(host, wirekit.HANG, "host")


def test_a_firmware_that_ends(m4: Firmware, host: Firmware):
    with pytest.raises(wire.DeviceSilent, match=r"stopped at .* in td_board_exit"):
        misbehave(m4, wirekit.EXIT)
    with pytest.raises(wire.DeviceSilent, match="ended with exit code 3"):
        misbehave(host, wirekit.EXIT, "host")


def test_a_program_that_crashes(host: Firmware):
    with pytest.raises(wire.DeviceSilent, match="ended by signal"):
        misbehave(host, wirekit.NULL_CALL, "host")


def test_the_models_own_error(m4: Firmware):
    with pytest.raises(wire.DeviceError, match="reported an error in RUN"):
        misbehave(m4, wirekit.FAIL)


@pytest.mark.emulator
def test_qemu_tells_the_same_faults(tmp_path_factory: pytest.TempPathFactory):
    require("qemu")
    firmware = wirekit.build("mps2_an386", tmp_path_factory.mktemp("an386"))
    for first in (wirekit.UNDEFINED, wirekit.NULL_CALL, wirekit.UNMAPPED_READ):
        faults = []
        for runner in ("unicorn", "qemu"):
            with pytest.raises(wire.DeviceFault) as caught:
                misbehave(firmware, first, runner)
            # r0 holds a count of cycles, which the two do not count alike.
            message = re.sub(r"\br0=0x\w+", "", caught.value.message)
            faults.append((message, caught.value.symbol, caught.value.registers.lr))
        assert faults[0] == faults[1]


def test_a_reset_that_an_old_hello_hides(m4: Firmware):
    """The device is reset while a copy of our hello is still on its way to it."""
    hellos: list[bytes] = []
    resets: list[Type] = []

    def reset(line: Transport, data: bytes) -> None:
        kind = Type(wirekit.frame_of(data).type)
        if kind == Type.HELLO:
            hellos.append(data)
        if kind in (Type.RUN, Type.STEP, Type.READ) and kind not in resets:
            resets.append(kind)
            assert isinstance(line, UnicornTransport)
            line._reset()
            # As after a power failure, the inputs are gone.
            line._uc.mem_write(m4.symbols["arena"].address, bytes(3000))
            line.write(hellos[-1])
        line.write(data)

    with wirekit.limit(30), RUNNERS["unicorn"].open(m4) as transport:
        client = Client(Interposer(transport, reset), m4)
        for seed in range(3):
            right(client, seed, layers=seed > 0)
        assert len(resets) == client.restarts == 3
