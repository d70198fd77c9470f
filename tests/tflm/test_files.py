"""What engine tflm writes and refuses, without a compiler and without TFLite Micro."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support import MODEL_NAMES, REPOSITORY
from tests.tflm import fake
from tinydeploy import boards
from tinydeploy.cli import main
from tinydeploy.engines import tflm, tflm_arena
from tinydeploy.engines.tflm_operators import METHODS, TYPED
from tinydeploy.graph import Graph
from tinydeploy.ops import OPERATORS
from tinydeploy.tflite import reader
from tinydeploy.tflite.schema import OPERATOR_CODES, TensorType
from tinydeploy.tflite.writer import Model, Operator, Tensor, constant, write

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
FORMATS = ("c-array", "op-resolver", "arduino", "cmake")

# What each real model has the resolver register.
REGISTERED = {
    "kws_int8": "AveragePool2D Conv2D DepthwiseConv2D FullyConnected Reshape Softmax",
    "vww_int8": "AveragePool2D Conv2D DepthwiseConv2D FullyConnected Reshape Softmax",
    "ic_int8": "Add AveragePool2D Conv2D FullyConnected Reshape Softmax",
    "ad_int8": "FullyConnected",
    "sww_int8": "Conv2D DepthwiseConv2D FullyConnected Reshape Softmax",
    "person_detect_int8": "AveragePool2D Conv2D DepthwiseConv2D Reshape Softmax",
    "micro_speech_int8": "DepthwiseConv2D FullyConnected Reshape Softmax",
    "hello_world_int8": "FullyConnected",
}


def emit(*argv: str) -> list[Path]:
    result = CliRunner().invoke(main, ["emit", *argv, "--engine", "tflm", "--json"])
    assert result.exit_code == 0, result.output
    return [Path(path) for path in json.loads(result.output)["written"]]


def loaded(path: Path) -> tuple[Graph, bytes]:
    content = path.read_bytes()
    return reader.loads(content, path.stem), content


def test_methods_are_named_as_operators_are() -> None:
    """TFLite Micro's names follow from TFLite's."""
    for name, method in METHODS.items():
        assert method.removeprefix("Add").lower() == name.replace("_", "").lower()
        assert name in OPERATOR_CODES


def test_registrations_for_a_type_are_named_as_operators_are() -> None:
    for name, typed in TYPED.items():
        assert name in METHODS
        assert typed.int8 in ("", f"Register_{name}_INT8")
        assert typed.int16 in ("", f"Register_{name}_INT16")


def test_what_tinydeploy_reads_tflite_micro_has() -> None:
    assert OPERATORS.keys() - METHODS.keys() == set()


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_exactly_the_operators_of_a_model_are_registered(name: str, models: Path) -> None:
    graph, content = loaded(models / f"{name}.tflite")
    used = tflm.registrations(graph)
    assert " ".join(r.method.removeprefix("Add") for r in used) == REGISTERED[name]
    for registration in used:
        assert registration.function.endswith("_INT8") == (registration.name in TYPED)
    files = tflm.model_files(graph, content, used, 4096)
    calls = re.findall(r"resolver\.(Add\w+)\(", files["model_resolver.h"])
    assert calls == [r.method for r in used]
    assert f"MicroMutableOpResolver<{len(used)}>" in files["model_resolver.h"]
    assert "kArenaBytes = 4096;" in files["model.cc"]


@pytest.mark.parametrize(
    ("board", "looks"),
    [
        ("mps2_an386", True),
        ("nucleo_l4r5zi", False),
        ("mimxrt1060_evk", False),
        ("mps3_an547", True),
    ],
)
def test_writes_to_the_null_pointer_are_looked_for_where_they_are_no_fault(
    board: str, looks: bool
) -> None:
    graph, _ = loaded(DIGITS)
    files = tflm.glue_files(graph, tflm.registrations(graph), 4096, boards.load(board))
    assert ("low_memory_sum" in files["model.cc"]) == looks
    assert "td_tflm_arena_bytes" in files["model.cc"]


def test_the_array_is_the_file() -> None:
    graph, content = loaded(DIGITS)
    text = tflm.array_files(graph, content)["model_data.c"]
    body = text[text.index("= {") + 3 : text.rindex("}")]
    assert bytes(int(n) for n in body.replace(",", " ").split()) == content
    assert f"td_model_data[{len(content)}] __attribute__((aligned(16)))" in text


def two_types() -> bytes:
    """A FULLY_CONNECTED in int8 and one in int16."""
    tensors = []
    for kind in (TensorType.INT8, TensorType.INT16):
        x = Tensor((1, 4), type=kind, scales=(0.5,), zero_points=(0,))
        y = Tensor((1, 4), type=kind, scales=(0.5,), zero_points=(0,))
        tensors += [x, constant(np.ones((4, 4), np.int8), scales=(0.5,), zero_points=(0,)), y]
    operators = tuple(Operator("FULLY_CONNECTED", (i, i + 1), (i + 2,)) for i in (0, 3))
    return write(Model(tuple(tensors), operators, (0, 3), (2, 5)))


def test_an_operator_in_two_types_is_registered_for_all() -> None:
    (used,) = tflm.registrations(reader.loads(two_types(), "m"))
    assert (used.method, used.call) == ("AddFullyConnected", "")


def test_the_smallest_arena_is_found() -> None:
    for needed in (1, 16, 777, 1200, 4096, 9999):
        tried = []

        def works(size: int, needed: int = needed, tried: list[int] = tried) -> bool:
            tried.append(size)
            return size >= needed

        found = tflm_arena.smallest(works, needed // 2, 10_000)
        assert found == -(-needed // 16) * 16
        assert len(tried) < 20


@pytest.mark.parametrize("form", FORMATS)
def test_emit_writes_what_it_says(form: str, tmp_path: Path) -> None:
    written = emit(str(DIGITS), "--format", form, "-o", str(tmp_path))
    found = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert {p.resolve() for p in written} == {p.resolve() for p in found}
    readme = (tmp_path / "README.md").read_text()
    assert "1 × 8 × 8 × 1" in readme
    assert "int8_t" in readme
    array = next(p for p in found if p.name == "td_digits_int8_data.c")
    before = array.read_bytes()
    emit(str(DIGITS), "--format", form, "-o", str(tmp_path))
    assert array.read_bytes() == before


def test_emit_survives_a_hostile_name(tmp_path: Path) -> None:
    model = tmp_path / "a*/ b\n#${X} -- é.tflite"
    try:
        model.write_bytes(DIGITS.read_bytes())
    except OSError:
        model = tmp_path / "a ${X}.tflite"
        model.write_bytes(DIGITS.read_bytes())
    for form in FORMATS:
        emit(str(model), "--format", form, "-o", str(tmp_path / form))
    cmake = (tmp_path / "cmake" / "CMakeLists.txt").read_text()
    assert not [line for line in cmake.splitlines() if "${X}" in line and line[0] != "#"]
    properties = (tmp_path / "arduino" / "library.properties").read_text().splitlines()
    assert all("=" in line or line[0] == "#" for line in properties)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--format", "zip", "-o", "x"], "zip"),
        (["--format", "cmake", "-o", "x", "--arena", "0"], "0"),
        (["--format", "cmake", "-o", "x", "--board", "nope"], "unknown board"),
        (["--format", "cmake", "-o", "x", "--board", "host"], "not for this machine"),
        (["--format", "cmake", "-o", "x", "--board", "microbit", "--tflm-root", "no"], "not exist"),
    ],
)
def test_emit_refuses(
    argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["emit", str(DIGITS), "--engine", "tflm", *argv])
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (tmp_path / "x").exists()


def test_an_engine_without_its_library_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TFLM_ROOT", raising=False)
    argv = ["build", str(DIGITS), "--board", "nucleo_l4r5zi", "--engine", "tflm"]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 1
    assert "TFLM_ROOT" in result.output
    (tmp_path / "tinydeploy.toml").write_text('[tflm]\nroot = "elsewhere"\n')
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 2
    assert "elsewhere does not exist" in result.output
    (tmp_path / "elsewhere").mkdir()
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 2
    assert "holds no TFLite Micro" in result.output
    fake.headers(tmp_path / "elsewhere")
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 2
    assert "has no library for a Cortex-M4" in result.output


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--engines", "aot,nope"], "unknown engine 'nope'"),
        (["--engines", "aot,aot"], "each once"),
        (["--engines", ","], "each once"),
        (["--on", "nope", "--engines", "aot"], "unknown runner"),
    ],
)
def test_compare_refuses(argv: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["compare", str(DIGITS), "--board", "microbit", *argv])
    assert result.exit_code == 2, result.output
    assert words in result.output


def test_a_new_app_goes_to_a_new_folder_only(tmp_path: Path) -> None:
    argv = ["new", "app", str(tmp_path / "p"), "--board", "microbit", "--model", str(DIGITS)]
    assert CliRunner().invoke(main, argv).exit_code == 0
    names = {p.relative_to(tmp_path / "p").as_posix() for p in (tmp_path / "p").rglob("*.*")}
    assert {"src/main.c", "tests/test_app.py", "tinydeploy.toml", "digits_int8.tflite"} <= names
    again = CliRunner().invoke(main, argv)
    assert again.exit_code == 2
    assert "is there already" in again.output


def test_an_app_without_sources_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.h").write_text("")
    argv = ["build", str(DIGITS), "--board", "microbit", "--app", str(tmp_path)]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 2
    assert "holds no .c or .cc file" in result.output
