"""Where Renode is looked for, and what is made of what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinydeploy.errors import InputError, RequestError
from tinydeploy.renode import find


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Renode."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RENODE_PATH", raising=False)


def program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_nowhere() -> None:
    with pytest.raises(RequestError, match="not installed") as caught:
        find.find()
    assert "renode-run download" in caught.value.hint


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renode_run = program(tmp_path / "bin" / "renode-run")
    assert find.locate() == (str(renode_run), "exec", "--")

    root = tmp_path / "home" / ".config" / "renode"
    folder = root / "renode-run.download" / "dotnet-portable" / "renode-1.15.3"
    downloaded = program(folder / "renode")
    assert find.locate() == (str(downloaded),)

    default = program(tmp_path / "elsewhere" / "renode")
    config = {"version": "2.0", "default": {"dotnet-portable": str(default.parent)}}
    (root / "renode-run.json").write_text(json.dumps(config))
    assert find.locate() == (str(default),)

    on_path = program(tmp_path / "bin" / "renode")
    assert find.locate() == (str(on_path),)

    exported = program(tmp_path / "portable" / "renode")
    monkeypatch.setenv("RENODE_PATH", str(exported.parent))
    assert find.locate() == (str(exported),)

    named = program(tmp_path / "Renode.app" / "Contents" / "MacOS" / "renode")
    assert find.locate(str(tmp_path / "Renode.app")) == (str(named),)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"default": 3}', '{"default": {"a": 1}}'])
def test_a_damaged_file_of_renode_run(content: str, tmp_path: Path) -> None:
    root = tmp_path / "home" / ".config" / "renode"
    root.mkdir(parents=True)
    (root / "renode-run.json").write_text(content)
    assert find.locate() is None


@pytest.mark.parametrize("name", ["nowhere", "folder", "text.txt"])
def test_what_is_named_must_be_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("no program")
    with pytest.raises(InputError, match="--renode is"):
        find.locate(str(tmp_path / name))
    monkeypatch.setenv("RENODE_PATH", str(tmp_path / name))
    with pytest.raises(InputError, match="RENODE_PATH is"):
        find.locate()


def test_another_program_is_no_renode(tmp_path: Path) -> None:
    other = program(tmp_path / "renode", "echo GNU something 4.2.0")
    with pytest.raises(RequestError, match="does not say which Renode"):
        find.find(str(other))


@pytest.mark.parametrize(
    ("told", "version", "built"),
    [
        (
            "Renode v1.16.1.35575\n  build: d66b0c2a-202602142154\n  runtime: .NET 8.0.4",
            "1.16.1",
            "202602142154",
        ),
        ("Renode, version 1.15.3.18013 (03756cb5-202409161515)", "1.15.3", "202409161515"),
        ("Renode v1.16.1.7\n  build: dc52b24c1-202606201200", "1.16.1", "202606201200"),
        ("Renode v2.0", "2.0", ""),
        ("", "", ""),
        ("Segmentation fault", "", ""),
    ],
)
def test_versions(told: str, version: str, built: str) -> None:
    assert find.parse_version(told) == (version, built)


@pytest.mark.parametrize(
    ("version", "built", "from_1_16", "helium"),
    [
        ("1.15.3", "202409161515", False, False),
        ("1.16.0", "202507071245", True, False),
        ("1.16.1", "202602142154", True, False),
        ("1.16.1", "202606201200", True, True),
        ("1.16.2", "", True, True),
        ("1.17", "", True, True),
        ("2.0", "", True, True),
    ],
)
def test_what_a_version_can(version: str, built: str, from_1_16: bool, helium: bool) -> None:
    found = find.Installation(("renode",), version, built)
    assert (found.exact_dwt, found.right_sel, found.helium) == (from_1_16, from_1_16, helium)
