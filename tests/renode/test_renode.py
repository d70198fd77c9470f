"""Renode itself, wherever it is found: TINYDEPLOY_REQUIRE=renode makes these tests obligatory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import wirekit
from tests.support import require
from tinydeploy import boards, process
from tinydeploy.board import RenodePlatform
from tinydeploy.errors import RequestError
from tinydeploy.firmware import Firmware
from tinydeploy.renode import find, models, platform
from tinydeploy.renode.monitor import Monitor
from tinydeploy.runners import RUNNERS
from tinydeploy.runners.renode import RenodeTransport
from tinydeploy.wire import Client, DeviceFault, DeviceSilent

pytestmark = [pytest.mark.emulator, pytest.mark.toolchain, pytest.mark.slow]

BOARDS = ("nucleo_l4r5zi", "nucleo_f746zg", "bluepill_f103", "nucleo_f030r8", "netduinoplus2",
          "mps2_an385", "mps2_an505", "nucleo_u575zi", "frdm_k64f", "apollo4p_evb")  # fmt: skip
# On platforms that Renode ships.
PLATFORMS = {
    "stm32f4discovery": RenodePlatform("@platforms/boards/stm32f4_discovery-kit.repl", "usart2"),
    "nucleo_f746zg": RenodePlatform("@platforms/cpus/stm32f746.repl", "usart3"),
    "apollo4p_evb": RenodePlatform("@platforms/cpus/ambiq-apollo4.repl", "uart0"),
}


@pytest.fixture(scope="module", autouse=True)
def here() -> None:
    require("renode", "zig")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("renode")


@pytest.fixture(scope="module")
def m4(folder: Path) -> Firmware:
    return wirekit.build("nucleo_l4r5zi", folder / "m4")


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    found = Monitor(find.find().argv, tmp_path, 120.0)
    yield found
    found.close()


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_answers_right(board: str, folder: Path):
    firmware = wirekit.build(board, folder / board)
    sample = wirekit.inputs()
    with RUNNERS["renode"].open(firmware) as transport:
        client = Client(transport, firmware, sha256=wirekit.SHA256)
        one = client.infer(sample)
        other = client.infer(sample)
        assert one.outputs == other.outputs == wirekit.expected(*sample)
    with RUNNERS["unicorn"].open(firmware) as transport:
        expected = Client(transport, firmware).infer(sample).count
    # An interrupt of SysTick more or less.
    assert one.count == pytest.approx(expected, abs=50)
    assert other.count == pytest.approx(expected, abs=50)


@pytest.mark.parametrize("board", PLATFORMS)
def test_a_platform_of_renodes_own(board: str, folder: Path):
    firmware = wirekit.build(board, folder / f"{board}-own")
    firmware = replace(firmware, board=replace(firmware.board, renode=PLATFORMS[board]))
    sample = wirekit.inputs()
    with RUNNERS["renode"].open(firmware) as transport:
        assert Client(transport, firmware).infer(sample).outputs == wirekit.expected(*sample)


def test_layers_faults_and_hangs(m4: Firmware):
    with RUNNERS["renode"].open(m4) as transport:
        assert isinstance(transport, RenodeTransport)
        client = Client(transport, m4, silence_s=2)
        sample = wirekit.inputs()
        assert client.infer(sample, layers=True).outputs == wirekit.expected(*sample)
        assert transport.virtual_s() > 0
        assert transport.instructions() > 10_000
        with pytest.raises(DeviceFault, match="undefined instruction"):
            client.infer(wirekit.inputs(0, wirekit.UNDEFINED))
    with RUNNERS["renode"].open(m4) as transport:
        client = Client(transport, m4, silence_s=2)
        client.hello()
        client._run_s = 2.0
        with pytest.raises(DeviceSilent, match=r"its core is at 0x0800\w{4} \(\w+"):
            client.infer(wirekit.inputs(0, wirekit.HANG))


def test_a_platform_that_is_none(m4: Firmware, monkeypatch: pytest.MonkeyPatch):
    right = platform.repl(m4.board)
    wrong = right.replace("UART.STM32F7_USART", "UART.NOSUCH")
    monkeypatch.setattr(platform, "repl", lambda board, dwt: wrong)
    with pytest.raises(RequestError, match=r"UART\.NOSUCH") as caught:
        RUNNERS["renode"].open(m4)
    assert "\n" not in caught.value.message


def test_every_row_is_a_model_of_renodes(monitor: Monitor, tmp_path: Path):
    board = boards.load("nucleo_l4r5zi")
    text = platform.repl(board)
    version = find.find().numbers
    rows = {**models.UARTS, **models.COUNTERS}
    rows = {name: row for name, row in rows.items() if row.since <= version}
    for number, (name, row) in enumerate(rows.items()):
        peripheral = platform._peripheral(name, row, 0x5000_0000 + 0x10_0000 * number, 1_000_000)
        lines = [f"\n{name}: {row.model} @ sysbus {peripheral.where}", *peripheral.arguments]
        text += "\n    ".join(lines) + "\n"
    (tmp_path / "all.repl").write_text(text)
    monitor.do("mach create", 60)
    monitor.do(f"machine LoadPlatformDescription @{tmp_path}/all.repl", 60)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33",
                                  "cortex-m55"])  # fmt: skip
def test_every_core_is_one_of_renodes(core: str, monitor: Monitor, tmp_path: Path):
    if core == "cortex-m55" and find.find().numbers < (1, 16):
        pytest.skip("Renode has it from 1.16 on")
    board = boards.load("mps3_an547" if core == "cortex-m55" else "nucleo_l4r5zi")
    board = replace(board, core=replace(board.core, name=core))
    (tmp_path / "board.repl").write_text(platform.repl(board))
    monitor.do("mach create", 60)
    monitor.do(f"machine LoadPlatformDescription @{tmp_path}/board.repl", 60)


def test_a_suite_passes_and_fails(tmp_path: Path):
    """By renode-test, where it and what it needs is installed."""
    from tests.support import MODELS
    from tinydeploy.build import BuildRequest
    from tinydeploy.renode.suite import Suite, write_suite

    require("models")
    program = find.robot_test(find.find().argv)
    if program is None or process.run([program, "--help"], timeout_s=120).returncode:
        pytest.skip("renode-test does not run here")
    request = BuildRequest(
        MODELS / "hello_world_int8.tflite", "nucleo_l4r5zi", out=tmp_path / "build"
    )
    written = write_suite(Suite(request, tmp_path / "suite"))
    argv = [program, "-r", tmp_path / "results"]
    passed = process.run([*argv, written[0]], timeout_s=300)
    assert passed.returncode == 0, passed.stdout
    text = written[0].read_text()
    low = written[0].with_name("low.robot")
    low.write_text(text.replace("${CEILING}          ", "${CEILING}          0.00000001 # "))
    failed = process.run([*argv, low], timeout_s=300)
    assert failed.returncode != 0
    assert "replies after" in failed.stdout
