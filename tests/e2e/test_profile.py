"""`tinydeploy profile`: counts that agree with the device's own, estimates within their bounds."""

from __future__ import annotations

import ctypes
import json
import random
from pathlib import Path

import pytest

from benchmarks.generated import separable
from tests.support import REPOSITORY, require
from tinydeploy import pipeline, profiling
from tinydeploy.board import HOST
from tinydeploy.build import BuildRequest
from tinydeploy.cli import main
from tinydeploy.errors import RequestError
from tinydeploy.inputs import random_inputs
from tinydeploy.report.report import Report
from tinydeploy.runners import native, tracing

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
# What the device counts of a layer beside it: reading the counter, calling, returning.
COUNTING = 60

pytestmark = pytest.mark.toolchain


def _profiled(model: Path, board: str, folder: Path) -> tuple[Report, Report]:
    """(the report of a proof layer by layer, that of a profile)"""
    request = BuildRequest(model=model, board=board, out=folder / board)
    built = pipeline.build(request)
    samples = profiling.random_inputs(built.prepared.graph, 1)
    proven, _ = pipeline.prove(built, samples, layers=True)
    return proven, profiling.profile(built)


@pytest.mark.parametrize(
    "board",
    [
        "generic_cortex_m0",
        "nucleo_l4r5zi",
        pytest.param("mps3_an547", marks=pytest.mark.emulator),
    ],
)
def test_counts_are_those_of_the_device(board: str, tmp_path: Path) -> None:
    require("arm-gnu", "unicorn", *(["qemu"] if board == "mps3_an547" else []))
    proven, profiled = _profiled(DIGITS, board, tmp_path)
    assert profiled.outcome == "verified"
    timing = profiled.timing
    assert timing is not None
    for device, traced in zip(proven.layers, profiled.layers, strict=True):
        if device.instructions is None:
            assert traced.cost is None
            continue
        assert traced.instructions is not None
        assert traced.cost is not None
        assert 0 <= device.instructions - traced.instructions <= COUNTING
        assert traced.cost.cycles_least <= traced.cost.cycles <= traced.cost.cycles_most
        assert traced.cost.cycles_floor <= traced.cost.cycles
        assert traced.cost.bytes_loaded > 0
    assert timing.cycles == sum(layer.cost.cycles for layer in profiled.layers if layer.cost)


def test_the_same_build_costs_the_same(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn")
    request = BuildRequest(model=DIGITS, board="nucleo_l4r5zi", out=tmp_path)
    built = pipeline.build(request)
    first, second = (profiling.profile(built).layers for _ in range(2))
    assert first == second


def test_a_flash_that_is_slow_costs_cycles(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn")
    boards_of_mine = tmp_path / "boards"
    (boards_of_mine / "mcu").mkdir(parents=True)
    (boards_of_mine / "slow").mkdir()
    data = REPOSITORY / "boards"
    board = (data / "nucleo_l4r5zi" / "board.toml").read_text()
    (boards_of_mine / "slow" / "board.toml").write_text(
        board.replace("nucleo_l4r5zi", "slow").replace('"stm32l4r5zi"', '"slow_mcu"')
    )
    mcu = (data / "mcu" / "stm32l4r5zi.toml").read_text()
    (boards_of_mine / "mcu" / "slow_mcu.toml").write_text(
        mcu.replace('"stm32l4r5zi"', '"slow_mcu"', 1).replace("wait_states = 5", "wait_states = 10")
    )
    stalls = []
    for name, folders in (("nucleo_l4r5zi", ()), ("slow", (boards_of_mine,))):
        request = BuildRequest(model=DIGITS, board=name, out=tmp_path / name, board_folders=folders)
        report = profiling.profile(pipeline.build(request))
        stalls.append(sum(layer.cost.flash_stalls for layer in report.layers if layer.cost))
    # The boards' names are in the firmware, and move what lies behind them.
    assert stalls[0] > 0
    assert stalls[1] == pytest.approx(2 * stalls[0], rel=0.01)


def test_caches_stay_warm_from_layer_to_layer(tmp_path: Path) -> None:
    """As in an inference, not as when each layer's result is asked for."""
    require("arm-gnu", "unicorn")
    request = BuildRequest(model=DIGITS, board="nucleo_l4r5zi", out=tmp_path)
    built = pipeline.build(request)
    runner = tracing.TracingRunner(built.prepared.board)
    pipeline.prove(built, random_inputs(built.prepared.graph, 2), runner=runner, layers=True)
    alone = [step.code_reads for step in runner.steps]
    assert len(runner.reads) == len(alone) > 3
    assert sum(code for code, _ in runner.reads) < sum(alone)


def test_json_and_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    require("arm-gnu", "unicorn")
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as ended:
        main(["profile", str(DIGITS), "--board", "mps2_an500", "--json", "--html", str(page)])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["timing"]["bounds_only"] is True
    assert "an inference</b>, estimated" in page.read_text()
    with pytest.raises(SystemExit) as ended:
        main(["profile", str(DIGITS), "--board", "nucleo_l4r5zi"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "ms at 120 MHz" in told
    assert "wait for the flash (5 wait states)" in told
    assert "Cortex-M4 TRM" in told


def test_the_caches_of_the_flash_are_the_same_in_c_and_in_python() -> None:
    require("host-cc")
    compiled, interpreted = native.load(), native.python_callbacks()
    assert compiled.native
    machines = [native.Machine(), native.Machine()]
    fails = native.REG_READ(lambda *_: 1)
    rng = random.Random(1)
    for m in machines:
        m.reg_read = ctypes.cast(fails, ctypes.c_void_p).value
        m.constants.read_bytes, m.constants.line_bytes, m.constants.lines = 8, 32, 8
        m.constants.prefetch = 1
    for _ in range(2000):
        address, size = 0x0800_0000 + rng.randrange(600), rng.choice((1, 2, 4, 16))
        for m, callbacks in zip(machines, (compiled, interpreted), strict=True):
            callbacks.flash_read(None, 0, address, size, 0, ctypes.addressof(m))
    assert machines[0].constants.misses == machines[1].constants.misses > 100
    assert list(machines[0].constants.tag) == list(machines[1].constants.tag)


def test_a_log_of_qemu_is_cut_into_layers_wherever_it_is_read() -> None:
    """The layer at 0x110 runs a loop of two instructions three times; called from 0x100."""
    code = bytearray(0x200)
    code[0x100:0x104] = bytes.fromhex("00f006f8")  # bl 0x110
    code[0x110:0x116] = bytes.fromhex("013afdd17047")  # subs r2, #1; bne 0x110; bx lr
    run = [0x0FE, 0x100, *[0x110, 0x112] * 3, 0x114, 0x104, 0x106]
    lines = b"".join(b"Trace 0: 0x7f [0080044a/%08x/00000110/ff020201] f\n" % pc for pc in run)
    for cut in range(1, len(lines), 7):
        steps: list[tracing.Trace] = []
        parser = tracing.LogParser(tracing.Code([(0, bytes(code))]), 0x110, steps)
        parser.feed(lines[:cut])
        parser.feed(lines[cut:])
        (step,) = steps
        assert [(b.address, len(b.code), b.executions, b.jumps) for b in step.blocks] == [
            (0x110, 4, 3, 2),
            (0x114, 2, 1, 1),
        ]


def test_the_host_has_no_cycles_to_estimate() -> None:
    with pytest.raises(RequestError, match="no emulator here runs host"):
        profiling.check(HOST)


def test_every_core_has_a_table() -> None:
    from tinydeploy import cores
    from tinydeploy.timing.tables import TIMINGS

    assert set(TIMINGS) == set(cores.CORES)


def test_generated_networks_are_read() -> None:
    from tinydeploy.tflite.reader import loads

    graph = loads(separable(8, 16, 5), "generated")
    ops = [node.op for node in graph.nodes]
    assert ops == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert separable(8, 16, 5) == separable(8, 16, 5)
