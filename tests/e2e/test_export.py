"""The compiled model in a build of the user's own: bit for bit what the oracle computes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support import REPOSITORY, require
from tinydeploy import cores, export, process
from tinydeploy.cli import main
from tinydeploy.graph import Array
from tinydeploy.inputs import random_inputs
from tinydeploy.oracle import Reference, open_oracle
from tinydeploy.tflite.reader import loads

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
GRAPH = loads(DIGITS.read_bytes(), "digits_int8")
ORACLE = open_oracle(GRAPH, DIGITS.read_bytes())
# A filter: inputs in, outputs out.
MAIN = """\
#include <stdio.h>
#include "digits.h"
int main(void) {
  if (digits_init() != DIGITS_OK || digits_message()[0]) return 1;
  while (fread(digits_input_0(), DIGITS_INPUT_0_BYTES, 1, stdin) == 1) {
    if (digits_run() != DIGITS_OK) return 2;
    fwrite(digits_output_0(), DIGITS_OUTPUT_0_BYTES, 1, stdout);
  }
  return (int)digits_self_test();
}
"""
USER = """\
cmake_minimum_required(VERSION 3.16)
project(user LANGUAGES C)
find_package(digits 1.0 REQUIRED)
add_executable(program main.c)
target_link_libraries(program PRIVATE digits::digits)
"""
# What the sketch wants of Arduino.
ARDUINO = """\
#include <cstdint>
#include <cstdio>
#include <cstring>
struct Port {
  void begin(long) {}
  explicit operator bool() const { return true; }
  void print(unsigned long) {}
  void print(const char *) {}
  void println(unsigned int value) { std::printf("%u\\n", value); }
  void println(int value) { std::printf("%d\\n", value); }
  void println(const char *) {}
} Serial;
static unsigned long micros() { return 0; }
"""


def emit(folder: Path, *argv: str) -> Path:
    named = ["emit", str(DIGITS), "--name", "digits", "-o", str(folder)]
    result = CliRunner().invoke(main, [*named, *argv])
    assert result.exit_code == 0, result.output
    return folder


def run(*argv: str | Path) -> str:
    done = process.run(list(argv), timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The CMake package without a board (None: portable), and for one with DSP instructions."""
    require("arm-gnu", "unicorn")
    folder = tmp_path_factory.mktemp("packages")
    return {
        "portable": emit(folder / "portable", "--format", "cmake"),
        "dsp": emit(folder / "dsp", "--format", "cmake", "--board", "nucleo_l4r5zi"),
    }


@pytest.mark.parametrize("name", ["portable", "dsp"])
@pytest.mark.parametrize("build_type", ["Release", "MinSizeRel"])
def test_the_cmake_package_computes_what_the_model_does(
    name: str, build_type: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    require("host-cc", "cmake")
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    run("cmake", "-S", packages[name], "-B", build, f"-DCMAKE_BUILD_TYPE={build_type}")
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--prefix", prefix)
    user = tmp_path / "user"
    user.mkdir()
    (user / "main.c").write_text(MAIN)
    (user / "CMakeLists.txt").write_text(USER)
    run("cmake", "-S", user, "-B", user / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", user / "build")
    samples = random_inputs(GRAPH, 20)
    done = subprocess.run(
        [user / "build" / "program"],
        input=b"".join(s[0].tobytes() for s in samples),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert done.stdout == b"".join(ORACLE.run(s)[0].tobytes() for s in samples)


@pytest.mark.parametrize("name", ["portable", "dsp"])
def test_the_sources_compile_for_arm_without_a_warning(
    name: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    core = cores.find("cortex-m4", "single") if name == "dsp" else cores.find("cortex-m0plus")
    sources = sorted((packages[name] / "src").glob("*.c"))
    assert any(name in path.name for path in sources) == (name == "dsp")
    for source in sources:
        flags = (*core.gcc_flags, "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
        places = (f"-I{packages[name] / 'src'}", f"-I{packages[name] / 'include'}")
        run("arm-none-eabi-gcc", *flags, *places, "-c", source, "-o", tmp_path / "x.o")


def test_the_readme_tells_what_it_takes(packages: dict[str, Path]) -> None:
    text = (packages["dsp"] / "README.md").read_text()
    for words in ("| RAM |", "| flash, code |", "Cortex-M4", "nucleo_l4r5zi", "digits_run()"):
        assert words in text
    assert "Apache License" in (packages["dsp"] / "LICENSE").read_text()


def test_the_arduino_sketch_prints_what_the_model_computes(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn", "host-cc")
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler for this machine is here")
    library = emit(tmp_path / "library", "--format", "arduino")
    assert "includes=digits.h\n" in (library / "library.properties").read_text()
    # As Arduino's tools do: all of src/, its folder in the path, a sketch is C++ behind Arduino.h.
    objects = []
    for source in sorted((library / "src").rglob("*.c")):
        objects.append(tmp_path / f"{source.stem}.o")
        run("cc", "-Os", "-std=gnu11", f"-I{library / 'src'}", "-c", source, "-o", objects[-1])
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    sketch = library / "examples" / "run_once" / "run_once.ino"
    unit = tmp_path / "sketch.cpp"
    unit.write_text(
        f'#include "Arduino.h"\n{sketch.read_text()}\nint main() {{ setup(); loop(); }}\n'
    )
    program = tmp_path / "sketch"
    run("c++", "-std=gnu++17", f"-I{library / 'src'}", unit, *objects, "-o", program)
    zeros = (np.zeros(GRAPH.tensors[GRAPH.inputs[0]].shape, np.int8),)
    checked, *printed = [int(line) for line in run(program).split()]
    assert checked == 0
    assert printed == ORACLE.run(zeros)[0].reshape(-1).tolist()


def test_another_engine_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn")
    emit(tmp_path, "--format", "arduino", "--engine", "tflm")
    own = tmp_path / "src" / "digits" / "mine.c"
    own.write_text("int mine;\n")
    emit(tmp_path, "--format", "arduino")
    assert own.exists()
    left = {path.name for path in own.parent.iterdir()}
    assert "digits_model.c" in left
    assert left.isdisjoint({"digits_model.cc", "digits_data.c", "digits_td_message.c"})


def test_what_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("arm-gnu", "unicorn")

    class Wrong(Reference):
        """Off by one in all outputs."""

        def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
            return tuple(output ^ 1 for output in super().run(inputs))

    monkeypatch.setattr(export.pipeline, "open_oracle", lambda graph, content: Wrong(graph))
    argv = ["emit", str(DIGITS), "--format", "cmake", "-o", str(tmp_path / "x")]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 1
    assert "differs from its model" in result.output
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--format", "c-array", "--engine", "aot"], 2, "not compiled by engine aot"),
        (["--format", "cmake", "--engine", "nope"], 2, "unknown engine 'nope'"),
        (["--format", "cmake", "--arena", "9"], 2, "--arena is for engine tflm"),
        (["--format", "cmake", "--board", "nope"], 2, "unknown board 'nope'"),
        (["--format", "cmake", "--inputs", "random:0"], 2, "random:0"),
    ],
)
def test_what_cannot_be_written(argv: list[str], code: int, words: str, tmp_path: Path) -> None:
    out = tmp_path / "x"
    result = CliRunner().invoke(main, ["emit", str(DIGITS), "-o", str(out), *argv])
    assert result.exit_code == code, result.output
    assert words in result.output
    assert not out.exists()


@pytest.mark.parametrize("name", ["README.md", "CMakeLists.txt"])
def test_files_of_the_users_own_stay(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("# mine\n")
    argv = ["emit", str(DIGITS), "--format", "cmake", "--engine", "tflm", "-o", str(tmp_path)]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 1
    assert f"{name} is not tinydeploy's" in result.output
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "# mine\n"
