"""A build that cannot go on says so in one sentence, and the next one starts from a sane folder."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.building import BOARD, MODEL, Project, install
from tests.support import REPOSITORY, require
from tinydeploy import process
from tinydeploy.build import BuildRequest, build
from tinydeploy.errors import DoesNotFit, InputError, RequestError

pytestmark = pytest.mark.toolchain


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _request(out: Path, **changes: str | Path) -> BuildRequest:
    return BuildRequest(**({"model": MODEL, "board": BOARD, "out": out} | changes))  # type: ignore[arg-type]


def _outputs(out: Path) -> set[str]:
    return {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_is_recovered_from(project: Project, how: signal.Signals) -> None:
    """Even when the next one asks for what was built before the interrupted one."""
    project.build()
    first = project.elf()
    with project.running(opt="size") as scons:
        assert scons.stdout is not None
        for _ in range(4):
            assert scons.stdout.readline().startswith(b"CC ")
        scons.send_signal(how)
        scons.wait(20)
    out = project.folder / "out"
    if how != signal.SIGKILL:
        assert not [name for name in _outputs(out) if name.endswith(".tmp")]
        assert not (out / ".building").exists()
    project.build()
    assert project.elf() == first
    assert not (out / ".building").exists()
    assert not [name for name in _outputs(out) if name.endswith(".tmp")]


def test_ctrl_c_in_the_middle_of_a_build_from_python(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from tinydeploy.build import BuildRequest, build\n"
        f"request = BuildRequest(pathlib.Path({str(MODEL)!r}), {BOARD!r}, out=pathlib.Path('o'))\n"
        "build(request, jobs=1, on_line=lambda line: print(line, flush=True))\n"
    )
    argv = [sys.executable, "-c", script]
    env = Project(tmp_path).env()
    with process.started(argv, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL) as python:
        assert python.stdout is not None
        assert python.stdout.readline().startswith(b"CC ")
        python.send_signal(signal.SIGINT)
        python.wait(20)
    assert python.returncode != 0
    assert not [name for name in _outputs(tmp_path / "o") if name.endswith(".tmp")]
    lock = Project(tmp_path)
    start = time.monotonic()
    lock.build(out="o")  # SCons is gone, and with it the lock
    assert time.monotonic() - start < 60


def test_two_builds_into_one_folder_wait_for_each_other(project: Project) -> None:
    argv = project.argv("-j1")
    with project.running() as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith(b"CC ")
        second = process.run(argv, timeout_s=60, cwd=project.folder, env=project.env())
        first.wait(20)
    assert first.returncode == 0
    assert second.returncode == 0
    assert "waiting for another build in " in second.stdout
    assert "CC " not in second.stdout


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"^cannot write .*/file/out: .*\w$"):
        build(_request(tmp_path / "file" / "out"))
    assert (tmp_path / "file").read_text() == ""


def test_a_folder_with_sources_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "src" / "main.c"
    program.parent.mkdir()
    program.write_text("int mine;")
    for _ in range(2):
        with pytest.raises(InputError, match=r"/src holds files that tinydeploy did not write"):
            build(_request(tmp_path))
    assert program.read_text() == "int mine;"
    assert [*tmp_path.rglob("*")] == [program.parent, program]


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(RequestError, match=r"^cannot use .*file.* as a cache: \w"):
            build(_request(tmp_path / "out", cache=cache))
    build(_request(tmp_path / "out", cache=tmp_path / "new" / "cache"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\xfe")
    folder.mkdir()
    model = folder / os.fsdecode(b"\xff.tflite")
    model.write_bytes(MODEL.read_bytes())
    assert build(_request(folder / "out", model=model)).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o555)
    with pytest.raises(RequestError, match=r"^cannot write .*: Permission denied$"):
        build(_request(tmp_path / "out"))


@pytest.mark.parametrize("limit_bytes", [1000, 20_000])
def test_a_full_disk(project: Project, limit_bytes: int) -> None:
    """A limit on the size of files stands for it: in a generated file, and in the compiler's."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    done = subprocess.run(
        project.argv(),
        cwd=project.folder,
        env=project.env(),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines
    assert "hint: the shell limits the size of files: ulimit -f unlimited" in done.stderr
    assert lines[0].startswith(("error: cannot write ", "error: cannot compile "))
    assert "Traceback" not in done.stderr
    out = project.folder / "out"
    assert not [name for name in _outputs(out) if name.endswith(".tmp")]
    project.build()


def test_a_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="toolchain arm-gnu needs arm-none-eabi-gcc") as caught:
        build(_request(tmp_path / "out", toolchain="arm-gnu"))
    assert "gcc-arm-none-eabi" in caught.value.hint


def test_a_wrong_option_is_the_input_s_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no toolchain gnu"):
        build(_request(tmp_path / "out", toolchain="gnu"))
    with pytest.raises(InputError, match="opt=tiny"):
        build(_request(tmp_path / "out", optimize="tiny"))
    with pytest.raises(InputError, match="unknown board"):
        build(_request(tmp_path / "out", board="nucleo"))


def test_a_misspelt_option(project: Project) -> None:
    result = project.scons(enigne="aot")
    assert result.returncode == 2
    assert result.stderr.startswith("error: unknown option enigne=\nhint: did you mean engine=?\n")
    assert not (project.folder / "out").exists()


def test_what_does_not_compile(tmp_path: Path) -> None:
    package = install(tmp_path / "package")
    main = package / "tinydeploy" / "data" / "firmware_templates" / "verify" / "main.c"
    main.write_text("int main(void) { return nonsense; }\n")
    project = Project(tmp_path, package, package / "tinydeploy" / "data" / "SConstruct")
    result = project.scons()
    assert "\nerror: cannot compile src/main.c: src/main.c:1:25: error: 'nonsense' " in (
        f"\n{result.stderr}"
    )
    assert not (tmp_path / "out" / "firmware.elf").exists()


@pytest.mark.parametrize("toolchain", ["arm-gnu", "zig"])
def test_what_does_not_fit(tmp_path: Path, toolchain: str) -> None:
    """The linker's word, for what is found only when it is linked."""
    require(toolchain)
    folder = tmp_path / "boards"
    shutil.copytree(REPOSITORY / "boards" / "mps2_an386", folder / "small")
    (folder / "mcu").mkdir()
    mcu = (REPOSITORY / "boards" / "mcu" / "mps2_an386.toml").read_text()
    mcu = mcu.replace('name = "mps2_an386"', 'name = "small"')
    flash, rest = mcu.split("bytes = 0x40_0000", 1)
    (folder / "mcu" / "small.toml").write_text(f"{flash}bytes = 0x4000{rest}")
    board = (folder / "small" / "board.toml").read_text()
    (folder / "small" / "board.toml").write_text(board.replace('"mps2_an386"', '"small"'))
    request = BuildRequest(
        MODEL, "small", toolchain=toolchain, out=tmp_path / "out", board_folders=(folder,)
    )
    with pytest.raises(DoesNotFit) as caught:
        build(request)
    assert "digits_int8.tflite needs " in caught.value.message
    assert caught.value.message.endswith(" of flash; small has 16 KiB")
    assert not (tmp_path / "out" / "firmware.elf").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc takes no files, on Linux")
def test_a_compiler_that_a_signal_ended_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("arm-gnu")
    monkeypatch.setenv("TMPDIR", "/proc")
    with pytest.raises(RequestError, match="temporary file in /proc") as caught:
        build(_request(tmp_path / "out", toolchain="arm-gnu"))
    assert "TMPDIR=" in caught.value.hint
