"""The wire through every runner, with a small model of known behaviour."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import wirekit
from tests.support import REPOSITORY, require
from tinydeploy import boards, wire
from tinydeploy.board import Qemu
from tinydeploy.errors import RequestError
from tinydeploy.firmware import Firmware
from tinydeploy.runners import RUNNERS, native, unicorn
from tinydeploy.runners.unicorn import UnicornTransport

pytestmark = pytest.mark.toolchain

UNICORN_BOARDS = ("nucleo_f030r8", "bluepill_f103", "nucleo_l4r5zi", "nucleo_f746zg",
                  "nucleo_u575zi", "microbit", "mps2_an386")  # fmt: skip
QEMU_BOARDS = ("microbit", "netduinoplus2", "mps2_an385", "mps2_an386", "mps2_an500", "mps2_an505",
               "mps3_an547")  # fmt: skip
# A tick of the mps2 boards' timer is 40 instructions; one more for where in a block it is read.
TICK_INSTRUCTIONS = 62


@pytest.fixture(scope="session")
def built() -> dict[str, Firmware]:
    return {}


@pytest.fixture
def firmware(request: pytest.FixtureRequest, built, tmp_path_factory) -> Firmware:
    name: str = request.param
    if name not in built:
        built[name] = wirekit.build(name, tmp_path_factory.mktemp(name))
    return built[name]


def check(firmware: Firmware, runner: str) -> tuple[int, wire.Client]:
    with wirekit.limit(60), RUNNERS[runner].open(firmware) as transport:
        client = wire.Client(transport, firmware, sha256=wirekit.SHA256)
        hello = client.hello()
        assert (hello.board, hello.inputs) == (firmware.board.name, (6000, 7))
        assert (hello.outputs, hello.layers) == ((6000, 4), 2)
        assert hello.init_count < 1_000_000
        for seed in range(2):
            sample = wirekit.inputs(seed)
            result = client.infer(sample)
            assert result.outputs == wirekit.expected(*sample)
        steps = client.infer(sample, layers=True)
        assert steps.outputs == result.outputs
        assert [step.index for step in steps.layers] == [10, 12]
        assert steps.layers[0].output == result.outputs[0]
    transport.close()  # again
    return result.count, client


@pytest.mark.parametrize("firmware", ["host"], indirect=True)
def test_host(firmware: Firmware):
    count, _ = check(firmware, "host")
    assert count > 0


@pytest.mark.parametrize("firmware", UNICORN_BOARDS, indirect=True)
def test_unicorn(firmware: Firmware):
    count, client = check(firmware, "unicorn")
    assert 50_000 < count < 1_000_000
    assert client.retries == 0


@pytest.mark.emulator
@pytest.mark.parametrize("firmware", QEMU_BOARDS, indirect=True)
def test_qemu_counts_what_unicorn_counts(firmware: Firmware):
    require("qemu")
    count, _ = check(firmware, "qemu")
    if "unicorn" in firmware.board.runners:
        assert abs(check(firmware, "unicorn")[0] - count) <= TICK_INSTRUCTIONS


@pytest.mark.parametrize("firmware", ["nucleo_l4r5zi"], indirect=True)
def test_python_counts_what_native_code_counts(firmware: Firmware):
    counts = []
    profiles = []
    for callbacks in (native.load(), native.python_callbacks()):
        with UnicornTransport(firmware, callbacks) as transport:
            client = wire.Client(transport, firmware)
            client._session = 0x1233  # the same bytes on the wire, and so the same work
            sample = wirekit.inputs()
            result = client.infer(sample)
            assert result.outputs == wirekit.expected(*sample)
            counts.append((result.count, transport.machine.instructions))
            profiles.append(sorted(transport.blocks()))
    assert native.load().native
    assert counts[0] == counts[1]
    assert profiles[0] == profiles[1]
    total = sum(instructions * times for _, _, instructions, times in profiles[0])
    assert total == counts[0][1]


@pytest.mark.parametrize("firmware", ["nucleo_l4r5zi"], indirect=True)
@pytest.mark.parametrize("load", [native.load, native.python_callbacks])
def test_where_it_is_stopped_changes_nothing(firmware: Firmware, monkeypatch, load):
    """A slice ends anywhere: nothing is counted twice."""
    runs = []
    for slice_instructions in (20_000_000, 9973):
        monkeypatch.setattr(unicorn, "_SLICE_INSTRUCTIONS", slice_instructions)
        with UnicornTransport(firmware, load()) as transport:
            client = wire.Client(transport, firmware)
            sample = wirekit.inputs()
            result = client.infer(sample)
            assert result.outputs == wirekit.expected(*sample)
            assert client.retries == 0
            runs.append(result.count)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("firmware", ["nucleo_l4r5zi"], indirect=True)
def test_without_a_compiler_unicorn_still_runs(firmware: Firmware, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "_compilers", list)
    assert not native.load().native
    assert not list(tmp_path.rglob("*.so"))
    check(firmware, "unicorn")


def test_the_emulators_callbacks_are_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path))
    code = "from tinydeploy.runners import native; assert native.load().native"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(list(tmp_path.rglob("*"))) == 2  # the folder and one library


def test_zig_compiles_the_callbacks(monkeypatch, tmp_path):
    require("zig")
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "_compilers", lambda: [(sys.executable, "-m", "ziglang", "cc")])
    assert native.load().native


def test_a_board_that_does_not_run_here_is_refused():
    with pytest.raises(RequestError, match="not a QEMU machine"):
        RUNNERS["qemu"].check(boards.load("nucleo_l4r5zi"))
    with pytest.raises(RequestError, match="cannot run in the embedded emulator"):
        RUNNERS["unicorn"].check(boards.load("mps3_an547"))
    with pytest.raises(RequestError, match="this machine cannot run"):
        RUNNERS["host"].check(boards.load("nucleo_l4r5zi"))


def test_missing_qemu_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RequestError, match="qemu-system-arm is not installed") as caught:
        RUNNERS["qemu"].check(boards.load("mps2_an386"))
    assert "apt install" in caught.value.hint


@pytest.mark.emulator
@pytest.mark.parametrize("firmware", ["mps2_an386"], indirect=True)
def test_qemus_own_message_is_shown(firmware: Firmware):
    require("qemu")
    board = replace(firmware.board, qemu=Qemu("no-such-machine"))
    with (
        RUNNERS["qemu"].open(replace(firmware, board=board)) as transport,
        pytest.raises(wire.DeviceSilent, match="exit code 1: unsupported machine type"),
    ):
        wire.Client(transport, firmware).hello()


@pytest.mark.emulator
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone can do this")
@pytest.mark.parametrize("firmware", ["microbit"], indirect=True)
def test_qemu_dies_with_us(firmware: Firmware):
    require("qemu")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tinydeploy import boards, firmware\n"
        "from tinydeploy.runners import RUNNERS\n"
        f"f = firmware.read(Path({str(firmware.elf)!r}), boards.load('microbit'))\n"
        "t = RUNNERS['qemu'].open(f)\n"
        "print(t.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=REPOSITORY
    )
    pid = int(result.stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("firmware", ["host"], indirect=True)
def test_closing_ends_the_program(firmware: Firmware):
    with RUNNERS["host"].open(firmware) as transport:
        pid = transport.pid  # type: ignore[attr-defined]
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("firmware", "runner"),
    [("nucleo_l4r5zi", "unicorn"), ("host", "host"),
     pytest.param("mps2_an386", "qemu", marks=pytest.mark.emulator)],
    indirect=["firmware"],
)  # fmt: skip
def test_ctrl_c_ends_a_run(firmware: Firmware, runner: str):
    require(*(["qemu"] if runner == "qemu" else []))
    code = (
        "from pathlib import Path\n"
        "from tests.e2e import wirekit\n"
        "from tinydeploy import boards, firmware, wire\n"
        "from tinydeploy.runners import RUNNERS\n"
        f"f = firmware.read(Path({str(firmware.elf)!r}), boards.load({firmware.board.name!r}))\n"
        f"with RUNNERS[{runner!r}].open(f) as t:\n"
        "    client = wire.Client(t, f)\n"
        "    client.hello()\n"
        "    print(getattr(t, 'pid', 0), flush=True)\n"
        "    client.infer(wirekit.inputs(0, wirekit.HANG))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    device = int(process.stdout.readline())
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=8)
    assert "KeyboardInterrupt" in stderr
    if device:
        with pytest.raises(ProcessLookupError):
            os.kill(device, 0)
