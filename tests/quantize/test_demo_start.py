"""What the demo builds from: the float model where it can be quantised, else the shipped one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.support import REPOSITORY, require
from tinydeploy import demo
from tinydeploy.errors import RequestError
from tinydeploy.tflite import reader


def test_the_float_model_is_quantised_here(tmp_path: Path) -> None:
    require("ptq", "oracle")
    start = demo.start("nucleo_l4r5zi", tmp_path, False, lambda line: None)
    assert start.float_correct == 446
    assert "quantised here on 500 training images" in start.told
    assert start.request.model == tmp_path / "digits_int8.tflite"
    assert len(reader.load(start.request.model).nodes) == 10


def test_without_the_packages_the_shipped_model_is_taken_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_missing", lambda packages: list(packages))
    start = demo.start("nucleo_l4r5zi", tmp_path, False, lambda line: None)
    assert "pip install 'tinydeploy[ptq]'" in start.told
    assert start.float_correct == 446
    shipped = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
    assert start.request.model.read_bytes() == shipped.read_bytes()
    with pytest.raises(RequestError, match="not installed: tensorflow"):
        demo.start("nucleo_l4r5zi", tmp_path, True, lambda line: None)


def test_both_sets_of_held_out_images_are_the_same() -> None:
    folder = REPOSITORY / "examples" / "digits"
    with np.load(folder / "digits_test.npz") as test, np.load(folder / "digits_eval.npz") as real:
        stored = real["image"] * 255 - 128  # halves are rounded either way
        assert np.abs(stored - test["images"]).max() <= 0.5 + 1e-4
        assert (real["labels"] == test["labels"]).all()


@pytest.mark.slow
def test_the_model_can_be_trained_here(tmp_path: Path) -> None:
    require("tensorflow", "ptq", "oracle")
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not here")
    start = demo.start("nucleo_l4r5zi", tmp_path, True, lambda line: None)
    assert start.float_correct >= 440
    assert "trained and quantised here" in start.told
