"""What the model must do on the board, as tests: `device` is the emulated board."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits():
    """Images, float32 [450, 8, 8, 1], and what each shows."""
    with np.load("samples.npz") as samples:
        return samples["image"], samples["labels"]


def test_reads_digits(device, digits):
    images, labels = digits
    answers = device.run(images[:50])
    assert (answers.argmax(axis=-1) == labels[:50]).mean() > 0.9


def test_a_blank_image_is_no_certain_digit(device):
    assert device.run(np.zeros((8, 8, 1), np.float32)).max() < 0.9


def test_fast_enough(device, digits):
    device.run(digits[0][0])
    assert device.counts == "instructions"
    assert device.count < 1_000_000
