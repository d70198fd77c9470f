"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from tinydeploy.errors import RequestError
from tinydeploy.files import way_out, write_whole


def test_a_file_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_whole(path, "é")
    assert path.read_bytes() == "é".encode()
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to("target")
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_whole(pipe, b"abc")
    reader.join(10)
    assert read == [b"abc"]
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    (tmp_path / "file").write_text("")
    for path in (tmp_path, loop / "x", tmp_path / "file" / "x", tmp_path / ("x" * 300) / "y"):
        with pytest.raises(RequestError, match="cannot write"):
            write_whole(path, "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "loop"]


def test_the_hint_is_for_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="File name too long") as caught:
        write_whole(tmp_path / ("x" * 300), "text")
    assert caught.value.hint == "choose a shorter name"
    for number, words in (
        (errno.ENOSPC, "free some space"),
        (errno.EFBIG, "ulimit -f unlimited"),
        (errno.EROFS, "--out"),
    ):
        assert words in way_out(OSError(number, os.strerror(number)), "elsewhere: --out")
