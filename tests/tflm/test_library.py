"""What an installed TFLite Micro is: its headers, its libraries, the cores that they are for."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import require
from tests.tflm import fake
from tinydeploy import cores
from tinydeploy.cli import main
from tinydeploy.engines import tflm_library
from tinydeploy.engines.tflm_library import Installation, read_archive
from tinydeploy.errors import InputError

# Cores that have a library in the installation below.
BUILT = (
    ("cortex-m3", "none"),
    ("cortex-m4", "none"),
    ("cortex-m4", "single"),
    ("cortex-m7", "double"),
    ("cortex-m55", "double"),
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    require("arm-gnu")
    root = fake.headers(tmp_path_factory.mktemp("tflm"))
    for name, fpu in BUILT:
        core = cores.find(name, fpu)  # type: ignore[arg-type]
        fake.library(root, core, place=name if fpu == "none" else f"{name}+fp")
    return Installation(root)


@pytest.mark.toolchain
@pytest.mark.parametrize(("name", "fpu"), BUILT)
def test_every_core_gets_its_own(installation: Installation, name: str, fpu: str) -> None:
    archive = installation.archive(cores.find(name, fpu))  # type: ignore[arg-type]
    folder = name if fpu == "none" else f"{name}+fp"
    assert archive.path.parent.name == folder
    assert archive.has_cmsis_nn
    assert archive.has_logs
    assert archive.attributes.architecture == cores.CORES[name].architecture


@pytest.mark.toolchain
def test_a_core_takes_a_library_of_a_smaller_unit(installation: Installation) -> None:
    """A Cortex-M7 with a double-precision unit runs what was built for a single-precision one."""
    only = replace_archives(installation, "cortex-m4+fp")
    assert only.archive(cores.find("cortex-m7", "double")).path.parent.name == "cortex-m4+fp"


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("built", "core", "words"),
    [
        ("cortex-m4+fp", ("cortex-m4", "none"), "hard-float ABI; the board's code has the soft"),
        ("cortex-m4", ("cortex-m4", "single"), "soft-float ABI; the board's code has the hard"),
        ("cortex-m3", ("cortex-m4", "none"), "is for armv7-m"),
        ("cortex-m55+fp", ("cortex-m33", "single"), "is for armv8.1-m"),
        ("cortex-m4+fp", ("cortex-m0", "none"), "Cortex-M0 is armv6-m"),
    ],
)
def test_a_library_for_another_core_is_refused(
    installation: Installation, built: str, core: tuple[str, str], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        replace_archives(installation, built).archive(cores.find(*core))  # type: ignore[arg-type]
    assert words in caught.value.message
    assert built in caught.value.message
    assert "docs/tflm.md" in caught.value.hint


def replace_archives(installation: Installation, folder: str) -> Installation:
    """The installation with one library alone."""
    only = replace(installation)
    kept = tuple(a for a in installation.archives if a.path.parent.name == folder)
    only.__dict__["archives"] = kept
    return only


@pytest.mark.toolchain
def test_doctor_says_what_it_found(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = installation.root / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'0123456789' * 4} refs/heads/main\n")
    monkeypatch.setenv("TFLM_ROOT", str(installation.root))
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    (told,) = (f for f in found if f["name"] == "TFLite Micro")
    assert told["ok"]
    assert "commit 0123456" in told["detail"]
    assert "lib/cortex-m4 (armv7e-m soft-float, CMSIS-NN, messages)" in told["detail"]
    assert "lib/cortex-m4+fp (armv7e-m single hard-float, CMSIS-NN, messages)" in told["detail"]
    monkeypatch.setenv("TFLM_ROOT", str(installation.root / "lib"))
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    (told,) = (f for f in found if f["name"] == "TFLite Micro")
    assert not told["ok"]
    assert "holds no TFLite Micro" in told["detail"]


@pytest.mark.toolchain
def test_a_damaged_library_is_refused(installation: Installation, tmp_path: Path) -> None:
    content = installation.archive(fake.CORE).path.read_bytes()
    path = tmp_path / "libtensorflow-microlite.a"
    step = max(1, len(content) // 40)
    damaged = [content[:cut] for cut in range(0, len(content), step)]
    damaged += [content[:at] + b"\xff" + content[at + 1 :] for at in range(8, 300, 7)]
    for data in damaged:
        path.write_bytes(data)
        with suppress(InputError):  # and nothing else; some damage does not matter
            read_archive(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"!<arch>\n", b"\x7fELF", b"!<arch>\n" + b"x" * 70, b"!<thin>\n" + b"x" * 80],
)
def test_what_is_no_library_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lib.a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"lib\.a"):
        read_archive(path)
    with pytest.raises(InputError, match="cannot read"):
        read_archive(tmp_path / "absent.a")


def test_headers_are_found_where_builds_leave_them(tmp_path: Path) -> None:
    whole = fake.headers(tmp_path / "whole")
    assert Installation(whole).headers == (whole,)
    tree = fake.headers(tmp_path / "tree")
    parts = {
        "flatbuffers/flatbuffers.h": "flatbuffers/include",
        "fixedpoint/fixedpoint.h": "gemmlowp",
    }
    downloads = tree / "tensorflow" / "lite" / "micro" / "tools" / "make" / "downloads"
    for name, folder in parts.items():
        (downloads / folder / name).parent.mkdir(parents=True)
        (tree / name).rename(downloads / folder / name)
    found = Installation(tree).headers
    assert found == (tree, downloads / "flatbuffers" / "include", downloads / "gemmlowp")
    (tree / "ruy" / "profiler" / "instrumentation.h").unlink()
    with pytest.raises(InputError, match="lacks the headers of ruy"):
        _ = Installation(tree).headers


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option comes before the variable, the variable before the project's file."""
    for name in ("option", "variable", "file"):
        (tmp_path / name).mkdir()
    (tmp_path / "tinydeploy.toml").write_text('[tflm]\nroot = "file"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFLM_ROOT", "variable")
    assert tflm_library.root_of(Path("option")).name == "option"
    assert tflm_library.root_of(None).name == "variable"
    monkeypatch.delenv("TFLM_ROOT")
    assert tflm_library.root_of(None).name == "file"
