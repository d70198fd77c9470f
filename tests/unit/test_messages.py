"""What is said of wrong files and options: in the user's words, with the way out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support import REPOSITORY
from tinydeploy import boards
from tinydeploy.cli import main
from tinydeploy.errors import InputError
from tinydeploy.inputs import read_inputs
from tinydeploy.quantize import data
from tinydeploy.runners.serial import SerialTransport
from tinydeploy.tflite.reader import loads

FOLDER = REPOSITORY / "examples" / "digits"
DIGITS = FOLDER / "digits_int8.tflite"
GRAPH = loads(DIGITS.read_bytes(), "digits_int8")


def said(*argv: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in argv])
    assert result.exit_code == 2, result.output
    return result.output


def test_a_verb_without_a_board_is_its_own_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("build", "verify", "profile"):
        assert f"hint: tinydeploy {verb} {DIGITS} --board " in said(verb, DIGITS)


def test_a_float_model_is_named_in_its_hint() -> None:
    output = said("build", FOLDER / "digits_float.tflite", "--board", "microbit")
    assert "tinydeploy quantize digits_float.tflite --data" in output


def test_one_sample_needs_no_batch_axis(tmp_path: Path) -> None:
    sample = np.arange(64, dtype=np.int8).reshape(8, 8, 1)
    np.save(tmp_path / "one.npy", sample)
    ((found,),) = read_inputs(str(tmp_path / "one.npy"), GRAPH)
    assert found.shape == (1, 8, 8, 1)
    assert (found[0] == sample).all()


def _claiming(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    header = {"descr": "|i1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(100)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 8, 8, 1), np.float32), "tinydeploy evaluate"),
        (np.array([{}], object), "Python objects"),
        (_claiming((1 << 48, 8)), "too early"),
    ],
)
def test_inputs_that_are_none(array: np.ndarray | bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array, allow_pickle=True)
    with pytest.raises(InputError) as caught:
        read_inputs(str(path), GRAPH)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert "allow_pickle" not in caught.value.message


def test_data_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((4, 8), np.complex64))
    with pytest.raises(InputError, match="holds complex64, not real numbers"):
        data.load(str(path))
    path.write_bytes(_claiming((1, 1 << 48)))
    with pytest.raises(InputError, match="too early"):
        list(data.load(str(path)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "baseline has no builds"),
        ([], "baseline is an array, not an object"),
        ({"builds": [], "schema": 1}, "baseline.builds is an array"),
    ],
)
def test_what_is_no_baseline(content: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(content))
    assert f"is not a baseline: {words}\n" in said("check", path)


def test_a_port_that_is_none() -> None:
    for port in ("socket://", "socket://host", "rfc2217://host:x"):
        output = said("verify", DIGITS, "--board", "microbit", "--port", port)
        assert f"--port {port} cannot be opened: it names none" in output
    with pytest.raises(InputError, match="nope://x cannot be opened: it names none"):
        SerialTransport("nope://x", boards.load("microbit"))


def test_a_boards_file_with_a_mark_and_a_wrong_chip(tmp_path: Path) -> None:
    shipped = boards.load("microbit")
    assert shipped.mcu is not None
    chip = (REPOSITORY / "boards" / "mcu" / "nrf51822.toml").read_text()
    board = (REPOSITORY / "boards" / "microbit" / "board.toml").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mcu").mkdir()
    (tmp_path / "mine" / "board.toml").write_text("\ufeff" + board.replace("microbit", "mine"))
    (tmp_path / "mcu" / "nrf51822.toml").write_text(chip)
    assert boards.load("mine", (tmp_path,)).mcu is not None
    lines = chip.splitlines()
    for key, text in (("clock_hz", "clock_hz = 0"), ("core", 'core = "cortex-m9"')):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key} ="))
        wrong = [*lines[:at], text, *lines[at + 1 :]]
        (tmp_path / "mcu" / "nrf51822.toml").write_text("\n".join(wrong))
        with pytest.raises(InputError, match=rf"nrf51822\.toml:{at + 1}: "):
            boards.load("mine", (tmp_path,))
