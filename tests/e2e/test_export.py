"""The compiled model in a build of the user's own: bit for bit what the oracle computes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.e2e.test_int16 import Network
from tests.support import REPOSITORY, require
from tinydeploy import cores, export, paths, process, toolchains
from tinydeploy.cli import main
from tinydeploy.graph import Array
from tinydeploy.inputs import random_inputs
from tinydeploy.oracle import Reference, open_oracle
from tinydeploy.plan.plan import Optimize
from tinydeploy.tflite.reader import loads
from tinydeploy.tflite.schema import TensorType
from tinydeploy.tflite.writer import Model, Tensor, write

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
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
# A bare-metal compiler need not come with a C library.
STRING_H = ("-isystem", str(paths.data("firmware_templates/common")))
# A filter: reals in, what is stored of them out.
QUANTIZES = """\
#include <stdio.h>
#include "digits.h"
int main(void) {
  float real;
  while (fread(&real, sizeof real, 1, stdin) == 1) putchar(digits_quantize_input_0(real) & 255);
  return 0;
}
"""
SHARED_ARENA = """\
#include "digits.h"
uint8_t mine[DIGITS_ARENA_BYTES] __attribute__((aligned(16)));
int main(void) {
  const uint8_t *const input = (const uint8_t *)digits_input_0();
  if (input < mine || input >= mine + sizeof mine) return 1;
  return (int)digits_self_test();
}
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
    run("ctest", "--test-dir", build, "--no-tests=error")
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


@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
@pytest.mark.parametrize("name", ["portable", "dsp"])
def test_the_sources_compile_for_arm_without_a_warning(
    name: str, toolchain: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    require(toolchain)
    core = cores.find("cortex-m4", "single") if name == "dsp" else cores.find("cortex-m0plus")
    sources = sorted((packages[name] / "src").glob("*.c"))
    assert any(name in path.name for path in sources) == (name == "dsp")
    compiler = toolchains.find(toolchain)
    places = (*STRING_H, f"-I{packages[name] / 'include'}", "-o", tmp_path / "x.o")
    for source in sources:
        flags = compiler.compile_flags(core, Optimize.SIZE)
        run(*compiler.cc, *flags, "-fno-lto", *STRICT, *places, "-c", source)


@pytest.mark.parametrize("standard", ["c99", "c17", "c++11", "c++17"])
def test_the_header_is_clean_in_strict_programs(
    standard: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    require("zig")
    plus = "++" in standard
    unit = tmp_path / ("user.cpp" if plus else "user.c")
    unit.write_text('#include "digits.h"\nint main(void) { return (int)digits_run(); }\n')
    more = () if plus else ("-Wstrict-prototypes", "-Wmissing-prototypes")
    flags = (*STRICT, "-Wshadow", "-Wundef", "-Wdouble-promotion", *more, f"-std={standard}")
    name = "c++" if plus else "cc"
    for compiler in ((name,), (sys.executable, "-m", "ziglang", name)):
        if shutil.which(compiler[0]):
            include = f"-I{packages['portable'] / 'include'}"
            run(*compiler, *flags, include, "-c", unit, "-o", tmp_path / "x.o")


def test_reals_are_quantised_as_tflite_does(packages: dict[str, Path], tmp_path: Path) -> None:
    require("host-cc")
    (tmp_path / "main.c").write_text(QUANTIZES)
    program = tmp_path / "program"
    run("cc", f"-I{packages['portable'] / 'include'}", tmp_path / "main.c", "-o", program)
    tensor = GRAPH.tensors[GRAPH.inputs[0]]
    scale, zero = np.float32(tensor.scale), tensor.zero_point
    steps = np.arange(-300, 300, dtype=np.float32) / 2
    reals = np.concatenate(
        [
            steps * scale,
            np.nextafter(steps * scale, np.float32(9)),
            np.nextafter(steps * scale, np.float32(-9)),
            np.array([0, 1e30, -1e30, np.inf, -np.inf, 1e-40], np.float32),
        ]
    ).astype(np.float32)
    done = subprocess.run(
        [program], input=reals.tobytes(), stdout=subprocess.PIPE, timeout=60, check=True
    )
    scaled = (reals / scale).astype(np.float64)  # in which adding a half is exact
    nearest = np.trunc(scaled + np.copysign(0.5, scaled)) + zero
    expected = np.clip(nearest, -128, 127).astype(np.int8)
    assert done.stdout == expected.tobytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__"), "little-endian"),
        (("-U__SIZEOF_INT__", "-D__SIZEOF_INT__=2"), "not for AVR"),
        # For GCC's own words.
        (("-O2", "-fno-omit-frame-pointer"), "cannot be used in .asm. here"),
    ],
)
def test_what_would_compute_something_else_does_not_compile(
    flags: tuple[str, ...], words: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    core = cores.find("cortex-m4", "single")
    source = packages["dsp"] / "src" / "digits_td_s8_depthwise_conv_2d_3x3_rows__dsp.c"
    include = f"-I{packages['dsp'] / 'include'}"
    argv = ("arm-none-eabi-gcc", *core.gcc_flags, "-w", *flags, include)
    done = process.run([*argv, "-c", source, "-o", tmp_path / "x.o"], timeout_s=60)
    assert done.returncode != 0
    assert re.search(words, done.stderr), done.stderr


def test_clang_does_not_compile_loops_that_it_would_break(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    require("zig")
    compiler, core = toolchains.find("zig"), cores.find("cortex-m4", "single")
    source = packages["dsp"] / "src" / "digits_td_s8_depthwise_conv_2d_3x3_rows__dsp.c"
    flags = (*compiler.compile_flags(core, Optimize.SPEED), "-fno-omit-frame-pointer")
    places = (*STRING_H, f"-I{packages['dsp'] / 'include'}", "-o", tmp_path / "x.o")
    done = process.run([*compiler.cc, *flags, *places, "-c", source], timeout_s=60)
    assert done.returncode != 0
    assert "reserved registers" in done.stderr


def test_the_arena_may_be_the_users(packages: dict[str, Path], tmp_path: Path) -> None:
    require("host-cc")
    (tmp_path / "main.c").write_text(SHARED_ARENA)
    sources = [*(packages["portable"] / "src").glob("*.c"), tmp_path / "main.c"]
    include = f"-I{packages['portable'] / 'include'}"
    run("cc", "-DDIGITS_ARENA=mine", *STRICT, include, *sources, "-o", tmp_path / "program")
    run(tmp_path / "program")


@pytest.mark.parametrize(
    ("array", "says"), [("golden_steps[DIGITS_LAYERS]", 3), ("golden_output_0[GOLDENS * 10]", 10)]
)
def test_the_self_test_tells_what_is_wrong(
    array: str, says: int, packages: dict[str, Path], tmp_path: Path
) -> None:
    require("host-cc")
    package = tmp_path / "package"
    shutil.copytree(packages["portable"], package)
    test = package / "src" / "digits_self_test.c"
    before, after = test.read_text().split(f"{array} = {{\n", 1)
    numbers = after.split(",", 3)
    numbers[2] = "1"
    test.write_text(f"{before}{array} = {{\n{','.join(numbers)}")
    sources = [*(package / "src").glob("*.c"), package / "test" / "main.c"]
    run("cc", f"-I{package / 'include'}", *sources, "-o", tmp_path / "program")
    done = process.run([tmp_path / "program"], timeout_s=60)
    assert done.returncode == 1
    assert f"self-test says {says} of 9" in done.stderr


def of_many_types() -> bytes:
    """Three inputs and three outputs: int8, int16 and float32."""
    network = Network(np.random.default_rng(1))
    small = {"type": TensorType.INT8, "scales": (0.1,), "zero_points": (3,)}
    wide = {"type": TensorType.INT16, "scales": (1 / 32768,), "zero_points": (0,)}
    real = {"type": TensorType.FLOAT32}
    ends = [
        (
            x := network.tensor(Tensor((1, 4), **before)),
            network.add(op, [x], Tensor((1, 4), **after)),
        )
        for op, before, after in (
            ("DEQUANTIZE", small, real),
            ("QUANTIZE", real, small),
            ("TANH", wide, wide),
        )
    ]
    inputs, outputs = zip(*ends, strict=True)
    return write(Model(tuple(network.tensors), tuple(network.operators), inputs, outputs))


def test_a_model_of_many_types(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn", "host-cc")
    (tmp_path / "a*b.tflite").write_bytes(of_many_types())
    argv = ["emit", str(tmp_path / "a*b.tflite"), "--format", "cmake", "-o", str(tmp_path / "p")]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 0, result.output
    package = tmp_path / "p"
    header = (package / "include" / "td_a_b.h").read_text()
    for declared in (
        "int8_t *td_a_b_input_0(void)",
        "float *td_a_b_input_1(void)",
        "int16_t td_a_b_quantize_input_2(float real)",
        "float td_a_b_dequantize_output_2(int16_t stored)",
    ):
        assert declared in header
    assert "td_a_b_quantize_input_1" not in header
    include = f"-I{package / 'include'}"
    sources = [*(package / "src").glob("*.c"), package / "test" / "main.c"]
    run("cc", "-std=c99", *STRICT, include, *sources, "-o", tmp_path / "program")
    assert "bit for bit right" in run(tmp_path / "program")
    one = package / "src" / "td_a_b_model.c"
    done = process.run(["cc", "-Ofast", include, "-c", one, "-o", tmp_path / "x"], timeout_s=60)
    assert "-ffast-math would change" in done.stderr


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
    assert_is_an_arduino_library(library)
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


def assert_is_an_arduino_library(library: Path) -> None:
    """As Arduino's library specification has it."""
    lines = (library / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    for field in ("name", "version", "author", "maintainer", "sentence", "paragraph", "url"):
        assert properties[field], field
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", properties["name"])
    assert properties["includes"] == "digits.h"
    built_for = properties["architectures"].split(",")
    assert {"samd", "mbed_nano", "esp32"} <= set(built_for)
    assert {"avr", "*"}.isdisjoint(built_for)
    # What stands in src itself is the library's interface.
    assert [path.name for path in (library / "src").glob("*.*")] == ["digits.h"]
    assert (library / "examples" / "run_once" / "run_once.ino").is_file()


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

    monkeypatch.setattr(export, "open_oracle", lambda graph, content: Wrong(graph))
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
