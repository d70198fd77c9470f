"""Whatever a model comes as, it becomes a float `.tflite` here."""

from __future__ import annotations

from pathlib import Path

from ..tflite.reader import read_file
from . import keras


def float_tflite(path: Path, custom_objects: str | None = None) -> bytes:
    """The model as a float `.tflite` file.

    Args:
        path: `.tflite`, or a Keras model (`.keras`, `.h5`, a SavedModel's folder).
        custom_objects: "file.py:function" for a Keras model's own classes.

    Raises:
        InputError: It cannot be read or converted.
        RequestError: A package that it needs is not installed.
    """
    if keras.is_keras(path):
        return keras.to_float_tflite(path, custom_objects)
    return read_file(path)
