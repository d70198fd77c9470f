"""`--firmware mlperf`: the commands that MLPerf Tiny's runner sends, and what it is answered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import unicorn
from click.testing import CliRunner

from tests.e2e import serialkit
from tests.support import MODELS, require
from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.cli import main
from tinydeploy.emit import mlperf
from tinydeploy.errors import InputError
from tinydeploy.graph import Array, Graph
from tinydeploy.oracle import open_oracle
from tinydeploy.pipeline import Built
from tinydeploy.runners import RUNNERS, Transport
from tinydeploy.runners.serial import SerialRunner
from tinydeploy.runners.unicorn import UnicornTransport
from tinydeploy.tflite.reader import loads
from tinydeploy.tflite.writer import Model, Operator, Tensor, constant, write

pytestmark = pytest.mark.toolchain

BOARD = "nucleo_l4r5zi"


def network(task: str, zero_point: int = -128, shape: tuple[int, ...] | None = None) -> bytes:
    """A fully connected layer with the shapes of a task's model."""
    rng = np.random.default_rng(1)
    wanted = mlperf.TASKS[task]
    into, out = shape or wanted.input_shape, wanted.output_shape
    flat = (1, int(np.prod(into)))
    weights = rng.integers(-127, 128, (out[1], flat[1])).astype(np.int8)
    bias = rng.integers(-3000, 3000, out[1]).astype(np.int32)
    scale = 0.36 if wanted.sent == "float32" else 1 / 256
    tensors = (
        Tensor(into, scales=(scale,), zero_points=(zero_point,), name="in"),
        constant(np.array(flat, np.int32)),
        Tensor(flat, scales=(scale,), zero_points=(zero_point,)),
        constant(weights, scales=(0.002,), zero_points=(0,)),
        constant(bias, scales=(0.002 * scale,), zero_points=(0,)),
        Tensor(out, scales=(scale * 1.1,), zero_points=(9,), name="out"),
    )
    operators = (
        Operator("RESHAPE", (0, 1), (2,)),
        Operator("FULLY_CONNECTED", (2, 3, 4), (5,)),
    )
    return write(Model(tensors, operators, (0,), (5,)))


class Host:
    """The runner's end of the line."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._received = b""

    def until_ready(self, timeout_s: float = 30.0) -> list[str]:
        """Lines up to m-ready, without it."""
        deadline = time.monotonic() + timeout_s
        while b"m-ready\r\n" not in self._received:
            assert time.monotonic() < deadline, self._received
            self._received += self._transport.read(0.2)
        told, _, self._received = self._received.partition(b"m-ready\r\n")
        assert told.count(b"\n") == told.count(b"\r\n")
        return told.decode().splitlines()

    def ask(self, command: str) -> list[str]:
        self._transport.write(f"{command}%".encode())
        return self.until_ready()

    def load(self, content: bytes) -> None:
        assert self.ask(f"db load {len(content)}") == [f"m-[Expecting {len(content)} bytes]"]
        for i in range(0, len(content), 31):
            told = self.ask(f"db {content[i : i + 31].hex()}")
        assert told == ["m-load-done"]


@pytest.fixture(scope="module")
def built() -> dict[str, Built]:
    """By task, what was built."""
    return {}


@pytest.fixture(params=["kws01", "ic01", "ad01"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def firmware(task: str, built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Built:
    if task not in built:
        folder = tmp_path_factory.mktemp(task)
        (folder / "model.tflite").write_bytes(network(task))
        request = BuildRequest(
            folder / "model.tflite", BOARD, firmware="mlperf", strict=True, out=folder / "out"
        )
        built[task] = pipeline.build(request)
    return built[task]


@pytest.fixture
def host(firmware: Built) -> Iterator[Host]:
    with RUNNERS["unicorn"].open(firmware.firmware) as transport:
        made = Host(transport)
        assert made.until_ready() == ["m-init-done"]
        yield made


def sample(task: str, seed: int, graph: Graph) -> tuple[bytes, Array]:
    """What the runner sends, and what the model is fed; int8 of the input's shape."""
    rng = np.random.default_rng(seed)
    tensor = graph.tensors[graph.inputs[0]]
    if mlperf.TASKS[task].sent == "float32":
        # Halves among them, and what lies beyond the ends.
        steps = rng.choice([*range(-40, 300), 0.5, 1.5, 2.5, 400, -400], tensor.elements)
        real = (steps * np.float64(tensor.scale)).astype(np.float32)
        rounded = (real / np.float32(tensor.scale)).astype(np.float64)
        whole = np.copysign(np.floor(abs(rounded) + 0.5), rounded) + tensor.zero_point
        stored = np.clip(whole, -128, 127).astype(np.int8).reshape(tensor.shape)
        return real.tobytes(), stored
    stored = rng.integers(-128, 128, tensor.shape).astype(np.int8)
    if mlperf.TASKS[task].sent == "uint8":
        return (stored.astype(np.int16) + 128).astype(np.uint8).tobytes(), stored
    return stored.tobytes(), stored


def expected(task: str, content: bytes, sent: bytes, stored: Array) -> Array:
    graph = loads(content, "m")
    out = graph.tensors[graph.outputs[0]]
    answer = open_oracle(graph, content).run((stored,))[0].astype(np.float64).ravel()
    real = (answer - out.zero_point) * out.scale
    if task != "ad01":
        return real
    return np.array([np.mean((real - np.frombuffer(sent, np.float32)) ** 2)])


def results(lines: list[str]) -> Array:
    found = [re.fullmatch(r"m-results-\[([-0-9.,]+)\]", line) for line in lines]
    (match,) = [m for m in found if m]
    return np.array([float(text) for text in match[1].split(",")])


def test_who_is_there(task: str, host: Host):
    assert host.ask("name") == [f"m-name-dut-[{BOARD}]"]
    assert host.ask("profile") == [
        "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
        f"m-model-[{task}]",
    ]
    assert "infer N [W]" in "\n".join(host.ask("help"))


def test_what_the_runner_does(task: str, firmware: Built, host: Host):
    graph, content = firmware.prepared.graph, firmware.prepared.content
    for seed in range(2):
        sent, stored = sample(task, seed, graph)
        host.load(sent)
        lines = host.ask("infer 3 1")
        shown = [re.sub(r"\d+$|\[.*\]$", "*", line) for line in lines]
        assert shown == [
            "m-warmup-start-*", "m-warmup-done", "m-infer-start-*", "m-lap-us-*", "m-lap-us-*",
            "m-infer-done", "m-results-*",
        ]  # fmt: skip
        first, last = (int(line.removeprefix("m-lap-us-")) for line in lines[3:5])
        assert 0 < last - first < 10_000_000
        wanted = expected(task, content, sent, stored)
        # Six decimals; float32 for the mean.
        close = {"rtol": 1e-5, "atol": 1e-3} if task == "ad01" else {"rtol": 1e-6, "atol": 6e-7}
        assert np.allclose(results(lines), wanted, **close)
        assert np.array_equal(results(host.ask("results")), results(lines))


@pytest.mark.parametrize("task", ["ic01"], indirect=True)
def test_the_input_is_given_back(host: Host, firmware: Built):
    """More output than the emulator holds: none of it is lost, none is sent twice."""
    sent, _ = sample("ic01", 5, firmware.prepared.graph)
    host.load(sent)
    lines = host.ask("db print")
    assert lines[0].startswith("m-buffer-")
    assert bytes.fromhex("".join(line[9:].replace("-", "") for line in lines)) == sent


@pytest.mark.parametrize("task", ["kws01"], indirect=True)
def test_what_is_not_understood(host: Host, firmware: Built):
    for command in (
        "nonsense", "db load", "db load 0", "db load 491", "db load x", "db load 99999999999",
        "infer 0 1", "infer 1 -1", "infer x", "infer 1 0", "x" * 95, "x" * 96, "x" * 5000,
    ):  # fmt: skip
        lines = host.ask(command)
        assert len(lines) == 1, command
        assert lines[0].startswith("e-["), command
    assert host.ask("") == []
    assert host.ask("db load 3") == ["m-[Expecting 3 bytes]"]
    for digits in ("0g", "012", "zz", "é"):
        assert host.ask(f"db {digits}")[0].startswith("e-[")
    assert host.ask("infer 1 0") == ["e-[The input has 1 bytes, expected 490]"]
    # Line ends, capitals and double spaces are no trouble, nor is more than was announced.
    assert host.ask("\r\ndb  load 490\n") == ["m-[Expecting 490 bytes]"]
    for _ in range(489):
        host.ask("db AB")
    assert host.ask("db ABCDEF") == ["m-load-done"]
    assert host.ask("db 00") == []
    _, stored = sample("kws01", 0, firmware.prepared.graph)
    fed = np.full_like(stored, np.uint8(0xAB).view(np.int8))
    wanted = expected("kws01", firmware.prepared.content, b"", fed)
    assert np.allclose(results(host.ask("infer 1 0")), wanted, atol=6e-7)


@pytest.mark.emulator
@pytest.mark.parametrize(("task", "stem"), [("kws01", "kws"), ("ad01", "ad")])
def test_a_real_model_at_a_terminal(task: str, stem: str, tmp_path: Path):
    require("qemu", "models")
    request = BuildRequest(
        MODELS / f"{stem}_int8.tflite", "mps2_an386", firmware="mlperf", out=tmp_path
    )
    made = pipeline.build(request)
    sent, stored = sample(task, 3, made.prepared.graph)
    with (
        serialkit.on_terminal(made.firmware.board, made.firmware.elf) as machine,
        SerialRunner(machine.port).open(made.firmware) as transport,
    ):
        while transport.read(1.5):  # QEMU notices once a second who is there
            pass
        host = Host(transport)
        host.load(sent)
        found = results(host.ask("infer 2 1"))
    wanted = expected(task, made.prepared.content, sent, stored)
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-3 if task == "ad01" else 6e-7)


def test_other_models_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"no model of MLPerf Tiny: its input and output are"):
        mlperf.header(loads(network("kws01", shape=(1, 490)), "m"))
    with pytest.raises(InputError, match="zero point -127; ic01 sends pixels"):
        mlperf.header(loads(network("ic01", zero_point=-127), "m"))
    path = tmp_path / "m.tflite"
    path.write_bytes(network("kws01"))
    result = CliRunner().invoke(main, ["verify", str(path), "--board", BOARD, "--firmware", "x"])
    assert result.exit_code == 2


@pytest.mark.parametrize("task", ["kws01"], indirect=True)
def test_verify_is_not_for_it(firmware: Built):
    with pytest.raises(InputError, match="is not for verify"):
        pipeline.prove(firmware, [])


def test_energy_mode_marks_a_pin_and_prints_no_time(tmp_path: Path):
    model = tmp_path / "model.tflite"
    model.write_bytes(network("kws01"))
    request = BuildRequest(
        model, BOARD, firmware="mlperf_energy", strict=True, out=tmp_path / "out"
    )
    built = pipeline.build(request)
    marker = built.prepared.board.marker
    assert marker is not None
    mode = marker.setup[-1]
    writes: list[tuple[int, int]] = []

    def on_write(_uc: object, _kind: int, address: int, _size: int, value: int, _: object) -> None:
        writes.append((address, value))

    with UnicornTransport(built.firmware) as transport:
        for register in {mode.register, marker.low.register}:
            transport._uc.hook_add(
                unicorn.UC_HOOK_MEM_WRITE, on_write, begin=register, end=register + 3
            )
        host = Host(transport)
        assert host.until_ready() == ["m-timestamp-mode-energy", "m-init-done"]
        low, high = ((w.register, w.value) for w in (marker.low, marker.high))
        assert writes == [high, (mode.register, mode.set), high, low, high]
        sent, _ = sample("kws01", 0, built.prepared.graph)
        host.load(sent)
        writes.clear()
        lines = [re.sub(r"\d+$|\[.*\]$", "*", line) for line in host.ask("infer 3 1")]
        assert lines == [
            "m-warmup-start-*", "m-warmup-done", "m-infer-start-*", "m-infer-done", "m-results-*",
        ]  # fmt: skip
        assert writes == [low, high] * 2
        assert host.ask("timestamp") == []
        assert writes == [low, high] * 3


def test_energy_mode_needs_a_pin(tmp_path: Path):
    model = tmp_path / "model.tflite"
    model.write_bytes(network("kws01"))
    with pytest.raises(InputError, match="nucleo_f746zg names no pin for MLPerf's energy mode"):
        pipeline.prepare(BuildRequest(model, "nucleo_f746zg", firmware="mlperf_energy"))
