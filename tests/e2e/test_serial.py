"""`--on serial` against genuine firmware: QEMU's console as a pseudo-terminal, and as a socket."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.e2e import serialkit, wirekit
from tests.e2e.building import MODEL
from tests.support import require
from tinydeploy import boards, pipeline, wire
from tinydeploy.build import BuildRequest
from tinydeploy.cli import main
from tinydeploy.errors import TinydeployError
from tinydeploy.runners.serial import SerialRunner
from tinydeploy.wire import Client

pytestmark = [pytest.mark.toolchain, pytest.mark.emulator]

BOARD = "mps2_an386"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pipeline.Built:
    require("qemu")
    out = tmp_path_factory.mktemp("serial")
    return pipeline.build(BuildRequest(MODEL, BOARD, out=out))


@pytest.fixture
def machine(built: pipeline.Built) -> Iterator[serialkit.Machine]:
    with serialkit.on_terminal(built.firmware.board, built.firmware.elf) as qemu:
        yield qemu


def verify(built: pipeline.Built, port: str, *more: str) -> dict[str, Any]:
    """The verb, as a user types it; its report."""
    out = built.prepared.request.folder
    argv = ["verify", str(MODEL), "--board", BOARD, "--out", str(out), "--on", "serial"]
    result = CliRunner().invoke(main, [*argv, "--port", port, "--json", *more])
    assert result.stdout, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if content["outcome"] == "verified" else 1), result.stderr
    return content


def test_a_whole_verify_at_a_terminal(built: pipeline.Built, machine: serialkit.Machine):
    # Twice: the second time the board has been running for a while, with an old session.
    for layers in ((), ("--layers",)):
        report = verify(built, machine.port, "--inputs", "random:3", *layers)
        assert report["outcome"] == "verified"
        assert report["verify"]["inputs_equal"] == 3
        assert report["verify"]["retries"] <= 1  # QEMU notices once a second who is there
        assert report["runner"]["name"] == "serial"
        assert report["instructions"]["counter"] == "cycles"
        assert report["instructions"]["inference"] > 0


def test_a_whole_verify_at_a_socket(built: pipeline.Built):
    with serialkit.on_socket(built.firmware.board, built.firmware.elf) as qemu:
        report = verify(built, qemu.port, "--inputs", "random:2")
    assert report["outcome"] == "verified"


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's
def test_a_whole_verify_at_a_terminal_server(built: pipeline.Built, machine: serialkit.Machine):
    with wirekit.limit(120), serialkit.on_rfc2217(machine.port) as url:
        report = verify(built, url, "--inputs", "random:2")
    assert report["outcome"] == "verified"


def test_one_byte_of_a_hundred_hurt(built: pipeline.Built, machine: serialkit.Machine):
    with (
        wirekit.limit(180),
        serialkit.bad_line(built.firmware.board, machine.port, 0.01) as line,
    ):
        report = verify(built, line.port, "--inputs", "random:16")
    assert line.faults.hurt > 20
    assert report["outcome"] == "verified"
    assert report["verify"]["retries"] > 0


def test_every_byte_hurt_ends_in_time(built: pipeline.Built, machine: serialkit.Machine):
    with (
        wirekit.limit(40),
        serialkit.bad_line(built.firmware.board, machine.port, 1.0) as line,
    ):
        report = verify(built, line.port, "--inputs", "random:1")
    assert report["outcome"] == "device-error"
    assert "did not answer HELLO" in report["error"]


def test_unplugged_in_the_middle(built: pipeline.Built, machine: serialkit.Machine):
    firmware = built.firmware
    with wirekit.limit(30), SerialRunner(machine.port).open(firmware) as transport:
        client = Client(transport, firmware)
        size = client.hello().inputs[0]
        threading.Timer(0.3, machine.unplug).start()
        with pytest.raises(wire.DeviceSilent, match="is gone, was it unplugged"):
            infer_for_long(client, bytes(size))


def infer_for_long(client: Client, data: bytes) -> None:
    for _ in range(10_000):
        client.infer([data])


def test_another_board_in_the_middle(built: pipeline.Built):
    """The board is reset: a fresh one takes the old one's place behind the same terminal."""
    firmware = built.firmware
    ours, theirs = os.openpty()
    port = os.ttyname(theirs)
    with serialkit.switched(ours, firmware.board, firmware.elf) as switch, wirekit.limit(60):
        switch.plug()
        with SerialRunner(port).open(firmware) as transport:
            client = Client(transport, firmware)
            size = client.hello().inputs[0]
            expected = client.infer([bytes(size)]).outputs
            switch.plug()
            assert client.infer([bytes(size)]).outputs == expected
            assert client.restarts == 1
    os.close(theirs)
    os.close(ours)


def test_silence_is_told(built: pipeline.Built):
    ours, theirs = os.openpty()
    with SerialRunner(os.ttyname(theirs)).open(built.firmware) as transport:
        started = time.monotonic()
        with pytest.raises(wire.DeviceSilent, match="did not answer HELLO") as silent:
            Client(transport, built.firmware, silence_s=1).hello()
        assert "is silent at 115200 baud; is tinydeploy's firmware in the flash" in str(
            silent.value
        )
        assert time.monotonic() - started < 20
    os.close(ours)
    os.close(theirs)


def test_another_model_on_the_board(built: pipeline.Built, machine: serialkit.Machine):
    with (
        SerialRunner(machine.port).open(built.firmware) as transport,
        pytest.raises(wire.DeviceMismatch, match="expected is 0000"),
    ):
        Client(transport, built.firmware, sha256="00" * 32).hello()


def test_a_port_in_use(built: pipeline.Built, machine: serialkit.Machine):
    runner = SerialRunner(machine.port)
    with (
        runner.open(built.firmware),
        pytest.raises(TinydeployError, match="cannot open") as caught,
    ):
        runner.open(built.firmware)
    assert "another program has it open" in caught.value.hint


@pytest.mark.parametrize("port", ["/dev/no-such-port", "socket://127.0.0.1:1", "nonsense://x"])
def test_a_port_that_is_not_there(built: pipeline.Built, port: str):
    with wirekit.limit(20), pytest.raises(TinydeployError, match="cannot"):
        SerialRunner(port).open(built.firmware)


def test_the_host_has_no_port(tmp_path: Path):
    with pytest.raises(TinydeployError, match="no serial port"):
        SerialRunner(str(tmp_path / "x")).check(boards.load("host"))
