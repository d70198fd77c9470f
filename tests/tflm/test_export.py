"""What `emit` writes compiles in a tree of the user's own, beside a stand-in for TFLite Micro."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import REPOSITORY, require
from tests.tflm import fake
from tinydeploy import process
from tinydeploy.cli import main

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
FLAGS = ("-Wall", "-Wextra", "-Werror", "-Os", "-ffunction-sections", "-fdata-sections")
MAIN = """\
#include <string.h>
#include "td_reshape.h"
int main(void) {
  if (td_reshape_init() != TD_RESHAPE_OK) return td_reshape_message()[0];
  memset(td_reshape_input(0).data, 7, td_reshape_input(0).bytes);
  if (td_reshape_run() != TD_RESHAPE_OK) return 2;
  return td_reshape_output(0).bytes == 16 && *(char *)td_reshape_output(0).data == 7 ? 0 : 3;
}
"""
# What the stand-in's interpreter needs of a computer with a C library.
HOST = """\
#include <stdarg.h>
#include <stdio.h>
extern "C" void DebugLog(const char *format, va_list args) { vfprintf(stderr, format, args); }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fake.headers(tmp_path_factory.mktemp("tflm"))
    (folder / "TensorFlowLite.h").write_text("")
    return folder


def emit(model: Path, form: str, folder: Path) -> Path:
    argv = ["emit", str(model), "--format", form, "-o", str(folder)]
    argv += ["--engine", "tflm", "--arena", "4096"]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 0, result.output
    return folder


def run(*argv: str | Path) -> None:
    done = process.run(list(argv), timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", ["c-array", "op-resolver", "arduino", "cmake"])
def test_every_source_compiles(form: str, root: Path, tmp_path: Path) -> None:
    require("arm-gnu")
    folder = emit(DIGITS, form, tmp_path)
    if form == "op-resolver":
        (folder / "user.cc").write_text(
            '#include "td_digits_int8_resolver.h"\n'
            "TfLiteStatus use(td_digits_int8_resolver &r) "
            "{ return td_digits_int8_register_operators(r); }\n"
        )
    sources = [p for p in folder.rglob("*.c*") if p.suffix in (".c", ".cc", ".cpp")]
    assert sources
    assert form != "arduino" or {p.suffix for p in sources} == {".c", ".cpp"}
    places = [f"-I{p}" for p in (folder, folder / "src", folder / "include")]
    for source in sources:
        own = (
            ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-nostdinc++")
            if source.suffix != ".c"
            else ()
        )
        compiler = ("arm-none-eabi-gcc", *fake.CORE.gcc_flags, *FLAGS, *own, *places)
        run(*compiler, "-isystem", root, "-c", source, "-o", source.with_suffix(".o"))


@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
def test_the_array_in_the_object_file_is_the_model(toolchain: str, tmp_path: Path) -> None:
    from elftools.elf.elffile import ELFFile

    from tinydeploy import cores, toolchains
    from tinydeploy.plan.plan import Optimize

    require(toolchain)
    folder = emit(DIGITS, "c-array", tmp_path)
    found = toolchains.find(toolchain)
    flags = found.compile_flags(cores.find("cortex-m4", "single"), Optimize("speed"))
    target = tmp_path / "array.o"
    run(*found.cc, *flags, "-c", folder / "td_digits_int8_data.c", "-o", target)
    with target.open("rb") as stream:
        elf = ELFFile(stream)
        (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name("td_digits_int8_data")
        section = elf.get_section(symbol["st_shndx"])
        assert section.name.startswith(".rodata")
        assert section["sh_addralign"] == 16
        assert symbol["st_value"] % 16 == 0
        at = symbol["st_value"]
        assert section.data()[at : at + symbol["st_size"]] == DIGITS.read_bytes()


def test_the_cmake_package_builds_installs_and_runs(root: Path, tmp_path: Path) -> None:
    require("host-cc", "cmake")
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler for this machine is here")
    model = tmp_path / "reshape.tflite"
    model.write_bytes(fake.reshape_model())
    package = emit(model, "cmake", tmp_path / "package")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "main.c").write_text(MAIN)
    (tree / "host.cc").write_text(HOST)
    # Without the stand-in's own <new> and <cstdint>: this machine has them.
    headers = tmp_path / "headers"
    shutil.copytree(root, headers, ignore=shutil.ignore_patterns("new", "cstdint", "cstddef"))
    (tree / "CMakeLists.txt").write_text(f"""\
cmake_minimum_required(VERSION 3.16)
project(tree LANGUAGES C CXX)
add_library(tflm STATIC {fake.SOURCES}/fake.cc host.cc)
target_include_directories(tflm PUBLIC {headers})
target_compile_definitions(tflm PRIVATE FAKE_NEEDS={fake.NEEDS} FAKE_USES={fake.USES})
set(TFLM_TARGET tflm)
add_subdirectory({package} package)
add_executable(program main.c)
target_link_libraries(program PRIVATE td_reshape::td_reshape)
""")
    run("cmake", "-S", tree, "-B", tree / "build")
    run("cmake", "--build", tree / "build")
    run(tree / "build" / "program")

    alone = tmp_path / "alone"
    run("cmake", "-S", package, "-B", alone, f"-DTFLM_INCLUDE_DIRS={headers}", "-DTFLM_LIBRARY=x.a")
    run("cmake", "--build", alone)
    run("cmake", "--install", alone, "--prefix", tmp_path / "prefix")
    user = tmp_path / "user"
    user.mkdir()
    (user / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user LANGUAGES C CXX)\n"
        "find_package(td_reshape 1.0 REQUIRED)\n"
        "get_target_property(found td_reshape::td_reshape TYPE)\n"
        'if(NOT found STREQUAL "STATIC_LIBRARY")\n  message(FATAL_ERROR "${found}")\nendif()\n'
    )
    run("cmake", "-S", user, "-B", user / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
