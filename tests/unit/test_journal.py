"""The record of a build's outputs, which may be somebody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinydeploy.journal import Journal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def test_only_what_lies_in_the_folder_is_distrusted(folder: Path) -> None:
    mine = folder.parent / "mine.txt"
    output = folder / "firmware.elf"
    (folder / "link").symlink_to(mine)
    names = [str(mine), "../mine.txt", "link", "firmware.elf"]
    for path in (mine, output):
        path.write_text("x")
    (folder / ".outputs").write_text(json.dumps(dict.fromkeys(names, "0")))
    Journal(folder).distrust()
    assert mine.exists()
    assert not output.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"a\\u0000": 1}'])
def test_a_record_that_is_none_is_passed_over(folder: Path, text: str) -> None:
    (folder / ".outputs").write_text(text)
    Journal(folder).distrust()
