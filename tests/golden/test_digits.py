"""The shipped digits network: what its README says of it is so."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import REPOSITORY, require

DIGITS = REPOSITORY / "examples" / "digits"


def test_held_out_images_are_as_documented() -> None:
    with np.load(DIGITS / "digits_test.npz") as test:
        images, labels = test["images"], test["labels"]
        assert float(test["float_accuracy"]) == pytest.approx(446 / 450)
    assert (images.dtype, images.shape) == (np.dtype(np.int8), (450, 8, 8, 1))
    assert (labels.dtype, labels.shape) == (np.dtype(np.uint8), (450,))
    assert np.bincount(labels).min() >= 40
    assert (DIGITS / "digits_int8.tflite").stat().st_size == 15_640


def test_oracle_reads_447_of_450() -> None:
    require("oracle")
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(DIGITS / "digits_int8.tflite"))
    right = 0
    with np.load(DIGITS / "digits_test.npz") as test:
        images, labels = test["images"], test["labels"]
    for image, label in zip(images, labels, strict=True):
        interpreter.set_input(image[np.newaxis], 0)
        interpreter.invoke()
        right += int(np.argmax(interpreter.get_output(0)) == label)
    assert right == 447
