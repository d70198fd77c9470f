"""Renode as a process: late, dead, mute, flooding, refusing. A stand-in plays them all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tinydeploy import boards
from tinydeploy.errors import RequestError
from tinydeploy.firmware import Firmware, Section, Symbol
from tinydeploy.renode import find
from tinydeploy.runners.renode import Limits, RenodeRunner, RenodeTransport
from tinydeploy.wire import Client, DeviceSilent

STANDIN = Path(__file__).with_name("standin.py")
SHORT = Limits(start_s=20.0, command_s=5.0, host_s=60.0)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out of one Renode is not believed of the next."""
    find._examined.cache_clear()
    yield
    find._examined.cache_clear()


@pytest.fixture
def renode(tmp_path: Path) -> Path:
    program = tmp_path / "renode"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STANDIN}" "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def firmware(tmp_path: Path) -> Firmware:
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(b"\x7fELF")
    run = Symbol("td_model_run", 0x0800_0000, 0x400, True)
    board = boards.load("nucleo_l4r5zi")
    return Firmware(elf, board, 0x0800_0000, (), {run.name: run}, (run,))


def opened(
    renode: Path, firmware: Firmware, limits: Limits = SHORT, told: list[str] | None = None
) -> RenodeTransport:
    transport = RenodeRunner(str(renode), limits, (told if told is not None else []).append)
    found = transport.open(firmware)
    assert isinstance(found, RenodeTransport)
    return found


def running(text: str) -> bool:
    """Whether a process has `text` in its command line or environment."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize("scenario", ["", "late", "floods"])
def test_bytes_go_both_ways(
    scenario: str, renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STANDIN", scenario)
    told: list[str] = []
    every = bytes(range(256))
    with opened(renode, firmware, told=told) as transport:
        transport.write(every)
        received = b""
        while len(received) < len(every):
            received += transport.read(5.0)
        assert received == every
        assert transport.read(0.05) == b""
        assert transport.virtual_s() == 1.25
        assert transport.scale(1000, 120_000_000) == 1000
        folder = transport._folder
    assert told == ["Renode ran 500 instructions, 1.250 s of virtual time"]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("dies", "exit code 3: Could not load type"),
        ("mute", "did not answer 'start' within 1 s"),
        ("bad-platform", "Could not resolve type: 'UART.NOSUCH'"),
        ("dies-loading", "exit code 134: Fatal error: out of memory"),
        ("hangs-loading", "LoadELF.* within 1 s"),
    ],
)
def test_what_does_not_start(
    scenario: str,
    message: str,
    renode: Path,
    firmware: Firmware,
    monkeypatch: pytest.MonkeyPatch,
):
    limits = Limits(start_s=1.0 if scenario == "mute" else 20.0, command_s=1.0)
    monkeypatch.setenv("STANDIN", scenario)
    monkeypatch.setenv("STANDIN_MARK", mark := f"{renode}-{scenario}")
    with pytest.raises(RequestError, match=message) as caught:
        opened(renode, firmware, limits)
    assert "\n" not in caught.value.message
    assert not running(mark)


def test_a_death_in_the_middle_of_a_frame(
    renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STANDIN", "dies-mid-frame")
    with (
        opened(renode, firmware) as transport,
        pytest.raises(DeviceSilent, match="ended by signal 9"),
    ):
        Client(transport, firmware, silence_s=5).hello()


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (
            "silent",
            r"core is at 0x08000100 \(td_model_run\+0x100\) after 500 instructions in 1.250",
        ),
        ("halted", r"core is halted at 0x08000100"),
        ("old", "more than 86400 s of virtual time"),
    ],
)
def test_silence_is_explained(
    scenario: str,
    message: str,
    renode: Path,
    firmware: Firmware,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("STANDIN", scenario)
    started = time.monotonic()
    with opened(renode, firmware) as transport, pytest.raises(DeviceSilent, match=message):
        Client(transport, firmware, silence_s=2).hello()
    assert time.monotonic() - started < 30


def test_a_session_has_an_end(renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STANDIN", "silent")
    limits = Limits(host_s=1.5)
    with (
        opened(renode, firmware, limits) as transport,
        pytest.raises(DeviceSilent, match=r"more than 1.5 s"),
    ):
        Client(transport, firmware, silence_s=30).hello()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_when_we_do(number: signal.Signals, renode: Path, firmware: Firmware):
    """With a shell in between, as Renode's own start script is one."""
    renode.write_text(f'#!/bin/sh\n"{sys.executable}" "{STANDIN}" "$@"\n')
    code = (
        "import pathlib, sys, time\n"
        "from tinydeploy import boards\n"
        "from tinydeploy.firmware import Firmware\n"
        "from tinydeploy.runners.renode import RenodeRunner\n"
        "board = boards.load('nucleo_l4r5zi')\n"
        "elf = pathlib.Path(sys.argv[1])\n"
        "with RenodeRunner(sys.argv[2]).open(Firmware(elf, board, 0, (), {}, ())):\n"
        "    print('open', flush=True)\n"
        "    time.sleep(600)\n"
    )
    mark = f"{renode}-{number.name}"
    argv = [sys.executable, "-c", code, str(firmware.elf), str(renode)]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STANDIN_MARK": mark, "TMPDIR": str(renode.parent)},
    ) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == b"open\n"
        assert running(mark)
        ours.send_signal(number)
        ours.wait(20)
        deadline = time.monotonic() + 20
        while running(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not running(mark)


def test_two_at_once_share_nothing(renode: Path, firmware: Firmware):
    with opened(renode, firmware) as one, opened(renode, firmware) as other:
        one.write(b"one")
        other.write(b"other")
        assert one.read(5.0) == b"one"
        assert other.read(5.0) == b"other"
        assert one._folder != other._folder


@pytest.mark.parametrize("version", ["1.14.0", "1.9.0.28176", "0.9"])
def test_an_old_one_is_refused(
    version: str, renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STANDIN_VERSION", version)
    with pytest.raises(RequestError, match=re.escape(version[:4])) as caught:
        opened(renode, firmware)
    assert "1.15 is the oldest" in caught.value.message
    assert "renode-run" in caught.value.hint


def test_helium_needs_a_newer_one(renode: Path):
    board = boards.load("mps3_an547")
    with pytest.raises(RequestError, match=r"Renode 1.16.1 has no Helium") as caught:
        RenodeRunner(str(renode)).check(board)
    assert caught.value.hint.startswith("use --on qemu")


def test_a_serial_port_that_came_later(renode: Path, monkeypatch: pytest.MonkeyPatch):
    runner = RenodeRunner(str(renode))
    runner.check(boards.load("nrf54l15_dk"))
    find._examined.cache_clear()
    monkeypatch.setenv("STANDIN_VERSION", "1.15.3.37249")
    runner.check(boards.load("nucleo_l4r5zi"))
    with pytest.raises(RequestError, match=r"1.15.3 has no UART.NRF54H20_UARTE"):
        runner.check(boards.load("nrf54l15_dk"))


def test_an_instruction_that_came_right_later(
    renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
):
    sel, other = bytes.fromhex("a0fa81f0"), bytes.fromhex("c0fa01f0")  # sel, ssub8 r0, r0, r1
    run = firmware.symbols["td_model_run"]
    firmware.elf.write_bytes(bytes(2) + sel)
    image = Section(".text", run.address, run.address, run.bytes, True)
    selecting = replace(firmware, sections=(image,))
    opened(renode, selecting).close()
    find._examined.cache_clear()
    monkeypatch.setenv("STANDIN_VERSION", "1.15.3.37249")
    with pytest.raises(RequestError, match=r"1.15.3 carries out .* SEL wrongly, .*td_model_run"):
        opened(renode, selecting)
    firmware.elf.write_bytes(bytes(2) + other)
    opened(renode, selecting).close()


def test_without_a_network_a_platform_goes_without_names_of_registers(
    renode: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STANDIN", "no-network")
    transport = opened(renode, firmware)
    transport.write(b"still there")
    assert transport.read(5.0) == b"still there"
    transport.close()
