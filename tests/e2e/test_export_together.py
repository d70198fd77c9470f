"""Packages of several models in one program: each computes what its own model does."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.e2e.test_strips import widest_first
from tests.support import REPOSITORY, require
from tinydeploy import boards, firmware, process
from tinydeploy.cli import main
from tinydeploy.emit.board import board_files
from tinydeploy.firmware import Firmware
from tinydeploy.graph import Graph
from tinydeploy.inputs import random_inputs
from tinydeploy.oracle import open_oracle
from tinydeploy.plan.plan import Optimize
from tinydeploy.runners import RUNNERS
from tinydeploy.runners.base import Transport
from tinydeploy.tflite.reader import loads
from tinydeploy.toolchains import find

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
BOARD = boards.load("nucleo_l4r5zi")  # a Cortex-M4
SAMPLES = 6
# Answers a letter and the inputs behind it with the outputs, a capital one with the self-test.
MAIN = """\
#include "digits.h"
#include "tight.h"
#include "wide.h"
#include "td_board.h"

static void answer_self_test(uint32_t differing) {
  for (int shift = 0; shift < 32; shift += 8) td_board_putc((uint8_t)(differing >> shift));
}

#define ANSWER(name)                                                       \\
  static void answer_##name(void) {                                        \\
    uint8_t *const to = (uint8_t *)name##_input(0).data;                   \\
    const uint8_t *const from = (const uint8_t *)name##_output(0).data;    \\
    for (uint32_t i = 0; i < name##_input(0).bytes; ++i) to[i] = receive(); \\
    name##_run();                                                          \\
    for (uint32_t i = 0; i < name##_output(0).bytes; ++i) td_board_putc(from[i]); \\
  }

static uint8_t receive(void) {
  int byte;
  while ((byte = td_board_getc()) < 0) {
  }
  return (uint8_t)byte;
}

ANSWER(digits)
ANSWER(tight)
ANSWER(wide)

void td_fault_handler(const td_fault *fault) {
  (void)fault;
  td_board_exit(1);
}

int main(void) {
  td_board_init();
  for (;;) {
    switch (receive()) {
      case 'd': answer_digits(); break;
      case 't': answer_tight(); break;
      case 'w': answer_wide(); break;
      case 'D': answer_self_test(digits_self_test()); break;
      case 'T': answer_self_test(tight_self_test()); break;
      case 'W': answer_self_test(wide_self_test()); break;
      default: break;
    }
  }
}
"""
# The Arduino library is compiled as the IDE does: src alone in the path, -Os, no C99 asked for.
TREE = """\
cmake_minimum_required(VERSION 3.16)
project(user LANGUAGES C)
add_compile_options(-Wall -Wextra -Wconversion -pedantic -Werror)
add_subdirectory(digits)
add_subdirectory(wide)
file(GLOB_RECURSE tight tight/src/*.c)
add_library(tight OBJECT ${tight})
target_include_directories(tight PUBLIC tight/src)
target_compile_options(tight PRIVATE -Os -std=gnu11 -ffunction-sections -fdata-sections)
file(GLOB board board/*.c)
add_executable(firmware main.c ${board})
set_source_files_properties(${board} PROPERTIES COMPILE_OPTIONS "@FLAGS@")
set_source_files_properties(board/libc.c PROPERTIES COMPILE_OPTIONS "@LIBC_FLAGS@")
target_include_directories(firmware PRIVATE board)
target_link_options(firmware PRIVATE @LINK_FLAGS@ -T ${CMAKE_SOURCE_DIR}/board/linker.ld)
target_link_libraries(firmware PRIVATE digits::digits wide::wide tight)
"""
ARM = """\
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT "@CORE@")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
"""


@dataclass(frozen=True)
class Exported:
    """A model, and its package in the tree."""

    name: str
    content: bytes
    form: str
    opt: str

    @property
    def graph(self) -> Graph:
        return loads(self.content, self.name)


MODELS = (
    Exported("digits", DIGITS.read_bytes(), "cmake", "speed"),
    Exported("wide", widest_first(1), "cmake", "size"),
    Exported("tight", widest_first(2), "arduino", "ram"),
)


def run(*argv: str | Path) -> None:
    done = process.run(list(argv), timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program's tree with all packages, not built."""
    require("arm-gnu", "unicorn", "oracle", "cmake")
    folder = tmp_path_factory.mktemp("tree")
    for model in MODELS:
        file = folder / f"{model.name}.tflite"
        file.write_bytes(model.content)
        argv = ["emit", str(file), "--format", model.form, "--opt", model.opt, "--name", model.name]
        argv += ["--board", BOARD.name, "-o", str(folder / model.name)]
        result = CliRunner().invoke(main, argv)
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def built(tree: Path) -> Firmware:
    """All packages in one ELF for a Cortex-M4."""
    compiler = find("arm-gnu")
    flags = (*compiler.compile_flags(BOARD.core, Optimize.SPEED), "-Wno-pedantic")
    values = {
        "@FLAGS@": ";".join(flags),
        "@LIBC_FLAGS@": ";".join((*flags, *compiler.memory_function_flags())),
        "@LINK_FLAGS@": " ".join(compiler.link_flags(BOARD.core)),
        "@CORE@": " ".join(BOARD.core.gcc_flags),
    }
    for path, text in (("CMakeLists.txt", TREE), ("arm.cmake", ARM), ("main.c", MAIN)):
        for mark, value in values.items():
            text = text.replace(mark, value)
        (tree / path).write_text(text)
    (tree / "board").mkdir()
    for path, text in board_files(BOARD).items():
        (tree / "board" / path).write_text(text)
    run("cmake", "-S", tree, "-B", tree / "build", "--toolchain", tree / "arm.cmake")
    run("cmake", "--build", tree / "build", "-j2")
    return firmware.read(tree / "build" / "firmware", BOARD)


def ask(transport: Transport, sent: bytes, count: int) -> bytes:
    transport.write(sent)
    received = b""
    while len(received) < count:
        more = transport.read(20)
        assert more, received
        received += more
    return received


def test_models_of_different_kernels_share_a_program(tree: Path, built: Firmware) -> None:
    # What the kernels are compiled for is not the same, so that one model's would be wrong.
    sizes = {
        m.name: next((tree / m.name).rglob("*_td_sizes.h")).read_text().replace(m.name, "")
        for m in MODELS
    }
    assert sizes["digits"] != sizes["wide"]
    assert {"digits_td_s8_conv_2d__dsp", "wide_td_s8_conv_2d__dsp"} <= built.symbols.keys()

    oracles = {m.name: open_oracle(m.graph, m.content) for m in MODELS}
    assert all(oracle.name.startswith("tflite-micro") for oracle in oracles.values())
    samples = {m.name: random_inputs(m.graph, SAMPLES) for m in MODELS}
    with RUNNERS["unicorn"].open(built) as transport:
        for i in range(SAMPLES):
            for model in MODELS:
                sample = samples[model.name][i]
                (expected,) = oracles[model.name].run(sample)
                sent = model.name[:1].encode() + sample[0].tobytes()
                assert ask(transport, sent, expected.nbytes) == expected.tobytes(), (model.name, i)
        for model in MODELS:
            assert ask(transport, model.name[:1].upper().encode(), 4) == bytes(4), model.name


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    require("arm-gnu", "unicorn", "host-cc", "cmake", "tinydeploy")
    page = (REPOSITORY / "docs" / "emit.md").read_text(encoding="utf-8")
    script = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    shutil.copytree(DIGITS.parent, tmp_path / "examples" / "digits")
    paths = (str(Path(sys.executable).parent), os.environ["PATH"])
    done = process.run(
        ["sh", "-ec", script],
        timeout_s=120,
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4: 1.00 1.00" in done.stdout


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_symbol_has_its_packages_name(model: Exported, built: Firmware) -> None:
    own = sorted(built.elf.parent.rglob(f"{model.name}_*.obj"))
    assert own
    names = process.run(["arm-none-eabi-nm", "-g", "--defined-only", *own], timeout_s=60)
    defined = re.findall(r" [A-TV-Z] (\w+)$", names.stdout, re.MULTILINE)
    assert f"{model.name}_run" in defined
    assert [symbol for symbol in defined if not symbol.startswith(f"{model.name}_")] == []
