"""Which toolchain is found, what its messages mean, and what it is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import require
from tinydeploy import cores, doctor, paths, process, toolchains
from tinydeploy.errors import InputError, RequestError
from tinydeploy.plan.plan import Optimize
from tinydeploy.toolchains import base, zig
from tinydeploy.toolchains.arm_gnu import ArmGnu
from tinydeploy.toolchains.host import Host

CORE = cores.find("cortex-m4", "single")


def _program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    path.chmod(0o755)


def test_auto_prefers_arm_gnu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "arm-none-eabi-gcc", "arm-none-eabi-gcc (Test) 99.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = toolchains.find("auto")
    assert found.name == "arm-gnu"
    assert found.version == "arm-none-eabi-gcc (Test) 99.1"
    assert found.cc == (str(tmp_path / "arm-none-eabi-gcc"),)


def test_auto_is_zig_where_there_is_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("zig")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchains.find("auto").name == "zig"


def test_auto_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "gcc", "gcc (Test) 99.2")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = toolchains.find("auto", for_host=True)
    assert (found.name, found.version) == ("host", "gcc (Test) 99.2")
    assert "-fsanitize=address,undefined" in toolchains.find(
        "host", for_host=True, sanitize=True
    ).compile_flags(cores.HOST, Optimize.SPEED)


def test_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, hint in (("arm-gnu", "apt install"), ("zig", "pip install ziglang")):
        with pytest.raises(RequestError, match=f"toolchain {name} needs") as caught:
            toolchains.find(name)
        assert hint in caught.value.hint
    with pytest.raises(RequestError, match="toolchain host needs cc, gcc or clang"):
        toolchains.find("auto", for_host=True)
    with pytest.raises(RequestError, match="the sanitizers need gcc or clang"):
        toolchains.find("auto", for_host=True, sanitize=True)


@pytest.mark.parametrize(
    ("name", "for_host", "sanitize", "message"),
    [
        ("gcc", False, False, "no toolchain gcc"),
        ("host", False, False, "host does not build for a board with an Arm core"),
        ("zig", True, False, "zig does not build for board host"),
        ("zig", False, True, "sanitizers work on board host alone"),
    ],
)
def test_a_toolchain_that_cannot_be_meant(
    name: str, for_host: bool, sanitize: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        toolchains.find(name, for_host=for_host, sanitize=sanitize)
    assert caught.value.hint


def test_the_environment_of_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CPATH", "C_INCLUDE_PATH", "SOURCE_DATE_EPOCH", "GCC_EXEC_PREFIX"):
        monkeypatch.setenv(name, "surprise")
    env = base.environment(tmp_path)
    assert "surprise" not in env.values()
    assert env["LC_ALL"] == "C"
    assert env["PWD"] == str(tmp_path)


def test_no_flag_that_decides_the_object_names_a_folder() -> None:
    chains = (
        ArmGnu("arm-gnu", "1", ("/opt/gcc",)),
        zig.Zig("zig", "1", Path("/opt/zig")),
        Host("host", "1", ("/opt/cc",)),
    )
    for chain in chains:
        flags = (*chain.compile_flags(CORE, Optimize.SIZE), *chain.link_flags(CORE))
        assert "-Os" in flags
        assert not [flag for flag in flags if "/" in flag]
        hidden = chain.path_flags(Path("/some/folder"))
        assert {"-ffile-prefix-map=/some/folder=.", "-ffile-compilation-dir=."} & {*hidden}


def test_first_error() -> None:
    gcc = (
        "In file included from a.h:1:\na.c:3:5: warning: hm\na.c:4:1: error: no\na.c:5: error: x\n"
    )
    assert base.first_error(gcc) == "a.c:4:1: error: no"
    ld = "/usr/bin/ld: a.o: in function `f':\na.c:1: undefined reference to `g'\n"
    assert base.first_error(f"{ld}collect2: error: ld returned 1 exit status\n") == (
        "a.c:1: undefined reference to `g'"
    )
    assert base.first_error("some last words\n") == "some last words"
    assert base.first_error("collect2: error: ld returned 1 exit status\n") == ""
    assert base.first_error("") == ""


def test_overflow() -> None:
    gnu = (
        "ld: x.elf section `.text' will not fit in region `FLASH'\n"
        "ld: region `FLASH' overflowed by 22284 bytes\nld: region `RAM' overflowed by 8 bytes\n"
    )
    assert base.overflow(gnu) == {"FLASH": 22284, "RAM": 8}
    lld = (
        "ld.lld: error: section '.text' will not fit in region 'FLASH': overflowed by 100 bytes\n"
        "ld.lld: error: section '.data' will not fit in region 'FLASH': overflowed by 120 bytes\n"
    )
    assert base.overflow(lld) == {"FLASH": 120}
    assert base.overflow("undefined reference") == {}


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path / "named"))
    assert paths.cache() == tmp_path / "named"
    assert paths.cache().is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert paths.cache().parent == tmp_path
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(RequestError, match="no folder to cache in"):
        paths.cache()


@pytest.mark.toolchain
def test_zig_writes_to_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("zig")
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", "/dev/null")
    work = tmp_path / "work"
    work.mkdir()
    (work / "a.c").write_text("int f(int a) { return a + 1; }\n")
    chain = zig.find()
    argv = [*chain.cc, *chain.compile_flags(CORE, Optimize.SPEED), "-c", "a.c", "-o", "a.o"]
    result = process.run(argv, timeout_s=120, cwd=work, env=chain.environment(work))
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in work.iterdir()) == ["a.c", "a.o"]
    assert (tmp_path / "cache" / "zig").is_dir()


def test_the_doctor_finds_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TINYDEPLOY_CACHE", str(tmp_path / "cache"))
    findings = {f.name: f for f in doctor.examine()}
    assert findings["Python"].ok
    assert findings["boards"].ok
    assert str(tmp_path / "cache") in findings["cache"].detail
    assert all(f.ok or f.detail for f in findings.values())
    assert findings["SCons"].to_dict()["required"] is True


def test_the_doctor_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = {f.name: f for f in doctor.examine()}
    for name in ("toolchain arm-gnu", "qemu-system-arm"):
        assert not findings[name].ok
        assert "apt install" in findings[name].hint
