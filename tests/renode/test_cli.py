"""`verify --renode` and `emit --format robot|renode` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support import REPOSITORY, require
from tinydeploy.cli import main
from tinydeploy.frames import Receiver, Type

DIGITS = str(REPOSITORY / "examples" / "digits" / "digits_int8.tflite")
BOARD = ("--board", "nucleo_l4r5zi")


def run(*argv: str) -> Result:
    result = CliRunner().invoke(main, argv)
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["verify", DIGITS, *BOARD, "--on", "unicorn", "--renode", "x"], 2, "--on is unicorn"),
        (["verify", DIGITS, *BOARD, "--renode", "/nowhere"], 2, "--renode is /nowhere"),
        (["verify", DIGITS, *BOARD, "--renode", "x", "--port", "y"], 2, "--renode"),
        (["emit", DIGITS, "--format", "robot"], 2, "no board was named"),
        (["emit", DIGITS, "--format", "robot", "--board", "nope"], 2, "unknown board 'nope'"),
        (["emit", DIGITS, "--format", "robot", "--board", "host"], 1, "not this machine"),
        (["emit", DIGITS, "--format", "robot", *BOARD, "--seconds", "0"], 2, "--seconds"),
        (["emit", DIGITS, "--format", "robot", *BOARD, "--inputs", "random:0"], 2, "random:0"),
        (["emit", DIGITS, "--format", "robot", *BOARD, "-o", "a b"], 2, "reads no script"),
    ],
)
def test_what_is_refused(argv: list[str], code: int, words: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.delenv("RENODE_PATH", raising=False)
        result = run(*argv)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert not (tmp_path / "build").exists()


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_suite_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("zig", "unicorn")
    monkeypatch.chdir(tmp_path)
    result = run("emit", DIGITS, "--format", "robot", *BOARD, "-o", "suite", "--inputs", "random:2",
                 "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    written = json.loads(result.output)["written"]
    assert set(written) == {f"suite/{path.name}" for path in Path("suite").iterdir()}
    text = Path("suite/nucleo_l4r5zi.robot").read_text()
    assert text.count("\nGolden Input ") == 2
    # What is sent are frames, in order, with the whole of the input.
    sent = b""
    for stage in ("load", "run", "read"):
        lines = Path(f"suite/golden_1_{stage}.resc").read_text().splitlines()
        sent += bytes(int(line.split()[-1], 0) for line in lines if "WriteChar" in line)
    frames = Receiver().frames(sent)
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.type for frame in frames] == [Type.HELLO, Type.LOAD, Type.RUN, Type.READ]
