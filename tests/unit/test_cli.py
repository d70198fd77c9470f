"""The command line: whatever happens, one sentence, a hint and an exit code."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support import REPOSITORY
from tinydeploy import boards, pipeline
from tinydeploy.board import Board
from tinydeploy.cli import main
from tinydeploy.errors import RequestError

DIGITS = str(REPOSITORY / "examples" / "digits" / "digits_int8.tflite")


def _run(*argv: str) -> Result:
    result = CliRunner().invoke(main, argv)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def _process(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", "from tinydeploy.cli import main; main()", *argv]
    done = subprocess.run(  # type: ignore[call-overload]
        command, stderr=subprocess.PIPE, env=environment, text=True, timeout=60, **options
    )
    assert "Traceback" not in done.stderr
    assert isinstance(done, subprocess.CompletedProcess)
    return done


def test_every_board_can_be_shown() -> None:
    for row in json.loads(_run("boards", "--json").output):
        facts = json.loads(_run("boards", "show", row["name"], "--json").output)
        assert facts["flash"]["bytes"] == row["flash_bytes"]
        assert facts["mcu"]["memories"]
        assert row["name"] in _run("boards", "show", row["name"]).output


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["boards", "show", "nope"], "unknown board 'nope'"),
        (["inspect", DIGITS, "--core", "nope"], "unknown core 'nope'"),
        (["build", DIGITS], "no board was named"),
        (["build", DIGITS, "--board", "microbit", "--opt", "fast"], "'fast'"),
        (["build", DIGITS, "--board", "microbit", "--engine", "x"], "unknown engine 'x'"),
        (["build", DIGITS, "--bogus"], "--bogus"),
        (["bogus"], "bogus"),
    ],
)
def test_what_is_rejected_says_why(argv: list[str], words: str) -> None:
    result = _run(*argv)
    assert result.exit_code == 2
    assert words in result.output
    assert result.output.startswith("error: ")


@pytest.mark.parametrize("argv", [[], ["boards", "new", "--help"], ["new"]])
def test_a_group_without_a_verb_shows_its_help(argv: list[str]) -> None:
    assert _run(*argv).output.startswith("Usage: ")


def test_the_list_of_verbs_is_not_cut_short() -> None:
    assert "..." not in _run("--help").output.partition("Commands:")[2]


def test_what_to_type_can_be_pasted(tmp_path: Path) -> None:
    model, folder = tmp_path / "my net.tflite", tmp_path / "my app"
    model.write_bytes(Path(DIGITS).read_bytes())
    argv = ["new", "app", str(folder), "--model", str(model)]
    hint = _run(*argv).output.partition("hint: ")[2]
    assert shlex.split(hint) == ["tinydeploy", *argv, "--board", "nucleo_l4r5zi"]
    assert "my app' && scons verify" in _run(*shlex.split(hint)[1:]).output
    hint = _run("build", str(model)).output.partition("hint: ")[2]
    assert shlex.split(hint)[2] == str(model)


def test_a_file_that_is_no_model_is_called_by_its_own_name(tmp_path: Path) -> None:
    keras = tmp_path / "net.h5"
    keras.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for argv in (["inspect", str(keras)], ["build", str(keras), "--board", "microbit"]):
        result = _run(*argv)
        assert result.exit_code == 2
        assert "net.h5 is a Keras .h5 file" in result.output


@pytest.mark.parametrize(
    "text", ["board = 3", "x = 1", "boards = 1", "[[", "a = " + "[" * 5000, 'cache = "~nobody-x/c"']
)
def test_settings_that_mean_nothing_are_rejected(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tinydeploy.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    result = _run("boards")
    assert result.exit_code == 2
    assert "tinydeploy.toml" in result.output


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="a device of Linux")
def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = _process("boards", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: the system says: No space left on device\n"


def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); sys.path.pop(0)"
    run = "from tinydeploy.cli import main; main(['boards'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; {run}"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "error: the system says: No such file or directory\n"


def test_a_board_that_nothing_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nothing here runs my_board") as caught:
        pipeline.find_runner(None, _lonely_board(tmp_path))
    assert caught.value.hint == "verify on this machine: --on host"


def _lonely_board(folder: Path) -> Board:
    """A board that no emulator knows."""
    (folder / "my_board").mkdir()
    shipped = (REPOSITORY / "boards" / "nucleo_l4r5zi" / "board.toml").read_text()
    text = shipped.replace('"nucleo_l4r5zi"', '"my_board"')
    (folder / "my_board" / "board.toml").write_text(f"unicorn = false\n{text}")
    return boards.load("my_board", (folder,))


def test_an_emulator_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)  # what an import of it then meets
    with pytest.raises(RequestError, match="emulator cannot be loaded") as caught:
        pipeline.find_runner("unicorn", boards.load("nucleo_l4r5zi"))
    assert "pip install" in caught.value.hint
