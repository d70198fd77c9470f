"""SCons builds what is out of date, all of it and nothing else; the same inputs, the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.building import BOARD, MODEL, Project, install
from tests.support import REPOSITORY, require
from tinydeploy import boards, firmware, process
from tinydeploy.build import BuildRequest, build
from tinydeploy.tflite.reader import loads

pytestmark = pytest.mark.toolchain

TOOLCHAINS = ("arm-gnu", "zig")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one finished build in out; not to be changed."""
    project = Project(tmp_path_factory.mktemp("reference"))
    project.build()
    return project


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_makes_everything_without_a_warning(project: Project, toolchain: str) -> None:
    require(toolchain)
    done = project.build(toolchain=toolchain, strict="1")
    assert "CC src/model.c" in done
    assert done[-1] == "LD firmware.elf"
    assert (project.folder / "out" / "firmware.map").stat().st_size > 0
    image = firmware.read(project.folder / "out" / "firmware.elf", boards.load(BOARD))
    assert MODEL.stat().st_size / 2 < image.flash_bytes < MODEL.stat().st_size + 16 * 1024
    assert {"Reset_Handler", "main", "td_model_run"} <= image.symbols.keys()


def test_compile_commands_are_what_is_run(reference: Project) -> None:
    out = (reference.folder / "out").resolve()
    entries = json.loads((out / "compile_commands.json").read_text())
    assert {e["file"] for e in entries} == {f"src/{p.name}" for p in (out / "src").glob("*.c")}
    entry = next(e for e in entries if e["file"] == "src/model.c")
    assert entry["directory"] == str(out)
    argv = [*entry["arguments"][:-1], "again.o"]
    result = process.run(argv, timeout_s=60, cwd=out)
    assert result.returncode == 0, result.stderr
    (out / "again.o").unlink()


def test_what_no_inference_runs_is_compiled_for_size(reference: Project) -> None:
    entries = json.loads((reference.folder / "out" / "compile_commands.json").read_text())
    levels = {}
    for entry in entries:
        *_, last = (a for a in entry["arguments"] if a.startswith("-O"))
        levels[entry["file"].removeprefix("src/")] = last
    fast = {name for name, level in levels.items() if level == "-O2"}
    assert {"main.c", "startup.c", "wire.c"} <= levels.keys() - fast
    assert {"model.c", "libc.c"} <= fast
    assert fast - {"model.c", "libc.c"} == {name for name in levels if name.startswith("td_s8_")}


def test_the_sources_are_clean_under_stricter_warnings(reference: Project) -> None:
    out = reference.folder / "out"
    strict = ("-Wpedantic", "-Wshadow", "-Wcast-qual", "-Wundef", "-Wstrict-prototypes", "-Werror")
    for command in json.loads((out / "compile_commands.json").read_text()):
        argv = [*command["arguments"][: command["arguments"].index("-c")], *strict]
        done = process.run([*argv, "-fsyntax-only", command["file"]], timeout_s=60, cwd=out)
        assert done.returncode == 0, done.stderr


def test_names_need_no_locale_that_knows_them(tmp_path: Path) -> None:
    model = tmp_path / "größe.tflite"
    shutil.copy(MODEL, model)
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv = [sys.executable, "-c", "from tinydeploy.cli import main; main()", "build", str(model)]
    env = {**os.environ, **settings, "PYTHONPATH": str(REPOSITORY)}
    done = process.run([*argv, "--board", BOARD], timeout_s=120, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / f"größe-{BOARD}" / "firmware.elf").is_file()


def test_nothing_to_do(reference: Project) -> None:
    start = time.monotonic()
    assert reference.build() == []
    assert time.monotonic() - start < 3.0  # 0.35 s alone on a 2-core machine


@pytest.mark.parametrize("changed", [{"opt": "size"}, {"toolchain": "zig"}])
def test_an_option_rebuilds_all_that_is_compiled_with_it(
    project: Project, changed: dict[str, str]
) -> None:
    if "zig" in changed.values():
        require("arm-gnu", "zig")
    before, first = project.build(), project.elf()
    after = project.build(**changed)
    sources = {f"CC src/{path.name}" for path in (project.folder / "out" / "src").glob("*.c")}
    assert sorted(after) == sorted({*sources, "LD firmware.elf"})  # other kernels for size
    assert len(set(after) & set(before)) > len(before) / 2
    project.build()
    assert project.elf() == first


def test_another_board_rebuilds_and_takes_the_former_files_away(project: Project) -> None:
    project.build()
    src = project.folder / "out" / "src"
    former = {p.name for p in src.glob("*.c")}
    (src / "mine.c").write_text("int mine;\n")
    done = project.build(board="mps2_an386")
    assert "CC src/board.c" in done
    now = {p.name for p in src.glob("*.c")} - {"mine.c"}
    assert f"CC src/{(now - former).pop()}" in done
    assert not any((src / name).exists() for name in former - now)
    assert not any((src.parent / "obj" / name).with_suffix(".o").exists() for name in former - now)
    assert (src / "mine.c").exists()


def test_a_changed_model_rebuilds_what_holds_it(project: Project, tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    content = bytearray(MODEL.read_bytes())
    model.write_bytes(content)
    project.build(model=model)
    graph = loads(bytes(content), "m")
    weights = max((t for t in graph.tensors if t.data is not None), key=lambda t: t.bytes)
    assert weights.data is not None
    content[content.index(weights.data.tobytes())] ^= 1
    model.write_bytes(content)
    assert project.build(model=model) == ["CC src/model.c", "LD firmware.elf"]


def test_a_changed_kernel_of_the_package_rebuilds(tmp_path: Path) -> None:
    package = install(tmp_path / "site packages é")
    project = Project(tmp_path, package, package / "tinydeploy" / "data" / "SConstruct")
    done = project.build()
    source = next(d for d in done if "conv_2d" in d).removeprefix("CC src/")
    kernel = package / "tinydeploy" / "kernels" / source
    kernel.write_text(kernel.read_text() + "\n/* changed */\n")
    assert project.build()[0] == f"CC src/{source}"
    included = re.search(r'#include "(\w+\.h)"', kernel.read_text())
    assert included is not None
    header = package / "tinydeploy" / "kernels" / included[1]
    header.write_text(header.read_text() + "\n/* changed */\n")
    assert f"CC src/{source}" in project.build()


def test_a_generated_file_that_was_edited_is_written_again(project: Project) -> None:
    project.build()
    first = project.elf()
    path = project.folder / "out" / "src" / "model.c"
    text = path.read_text()
    path.write_text(text.replace("td_arena", "my_arena"))
    project.build()
    assert path.read_text() == text
    assert project.elf() == first


@pytest.mark.parametrize("name", ["firmware.elf", "obj/libc.o"])
def test_an_output_that_was_damaged_is_made_again(project: Project, name: str) -> None:
    project.build()
    path, first = project.folder / "out" / name, project.elf()
    good = path.read_bytes()
    for bad in (b"", good + b"x"):
        path.write_bytes(bad)
        assert project.build()
        assert (path.read_bytes(), project.elf()) == (good, first)
    assert project.build() == []


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_two_folders_have_the_same_bytes(tmp_path: Path, toolchain: str) -> None:
    require(toolchain)
    names = ("a", "another folder, with a=b, a $HOME, a 'quote' and ünïcode")
    elves = []
    for name in names:
        (tmp_path / name).mkdir()
        project = Project(tmp_path / name)
        project.build(out=f"{name} out", toolchain=toolchain)
        elves.append(project.elf(f"{name} out"))
    assert elves[0] == elves[1]
    assert str(tmp_path).encode() not in elves[0]


def test_the_cache_serves_other_folders(tmp_path: Path) -> None:
    project = Project(tmp_path)
    cache = tmp_path / "cache"
    assert project.build(cache=cache, out="one")
    again = project.scons(cache=cache, out="two/deeper")
    assert again.returncode == 0, again.stderr
    assert "CC " not in again.stdout
    assert "Retrieved" in again.stdout
    assert project.elf("one") == project.elf("two/deeper")
    assert (tmp_path / "two" / "deeper" / "firmware.map").exists()
    assert "CC src/model.c" in project.build(cache=cache, out="three", opt="size")


def test_a_report_of_another_image_is_removed(project: Project) -> None:
    project.build("verify")
    report = project.folder / "out" / "report.json"
    told = report.read_text()
    project.build()
    assert report.read_text() == told
    project.build(opt="size")
    assert not report.exists()


def test_clean_removes_what_was_made(project: Project) -> None:
    project.build()
    out = project.folder / "out"
    (out / "notes.txt").write_text("mine")
    assert project.scons("-c").returncode == 0
    left = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {name for name in left if not Path(name).name.startswith(".")} == {"notes.txt"}


def test_a_dry_run_changes_nothing(project: Project) -> None:
    result = project.scons("-n")
    assert "CC src/model.c" in result.stdout
    assert not (project.folder / "out" / "src").exists()


def test_size_says_what_the_board_has(reference: Project) -> None:
    result = reference.scons("size")
    assert result.returncode == 0, result.stderr
    flash, ram = result.stdout.splitlines()[-2:]
    assert flash.startswith("flash ")
    assert " of 2097152 " in flash
    assert ram.startswith("RAM ")


def test_the_embedding_project_may_depend_on_the_elf(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "digits.tflite")
    sconstruct = tmp_path / "SConstruct"
    sconstruct.write_text(
        "import tinydeploy.scons\n"
        "env = Environment(tools=[tinydeploy.scons.generate])\n"
        f"a = env.TinyFirmware(model='digits.tflite', board={BOARD!r})\n"
        "b = env.TinyFirmware(model='digits.tflite', board='mps2_an386', opt='size')\n"
        "env.Command('both.bin', [a, b], 'cat $SOURCES > $TARGET')\n"
    )
    project = Project(tmp_path, REPOSITORY, sconstruct)
    argv = [*project.argv()[:7], "both.bin"]
    result = process.run(argv, timeout_s=120, cwd=tmp_path, env=project.env())
    assert result.returncode == 0, result.stderr
    names = (f"build/digits-{BOARD}", "build/digits-mps2_an386")
    expected = b"".join(project.elf(name) for name in names)
    assert (tmp_path / "both.bin").read_bytes() == expected
    again = process.run(argv, timeout_s=120, cwd=tmp_path, env=project.env())
    assert "is up to date" in again.stdout
    assert not list(tmp_path.glob("build/*/.building"))
    assert (tmp_path / ".sconsign.dblite").exists()


def test_from_python(tmp_path: Path) -> None:
    lines: list[str] = []
    request = BuildRequest(MODEL, BOARD, out=tmp_path / "out")
    assert build(request, on_line=lines.append) == tmp_path / "out" / "firmware.elf"
    assert "LD firmware.elf" in lines


def test_the_sanitizers_on_this_machine(project: Project) -> None:
    require("host-cc")
    project.build(board="host", sanitize="1", strict="1")
    assert b"__asan_init" in project.elf()
