"""Whatever a model comes as, it becomes a float `.tflite` here."""

from __future__ import annotations

from pathlib import Path

from ..tflite.reader import read_file
from . import imports, keras
from .imports import Imported


def read_source(
    path: Path, custom_objects: str | None = None, input_shape: str | None = None
) -> Imported:
    """The model as a float `.tflite` file, and what the user should know of the way there.

    Args:
        path: `.tflite`, a Keras model (`.keras`, `.h5`, a SavedModel's folder), `.onnx`, or
            PyTorch's `.pt2` or "file.py:function".
        custom_objects: "file.py:function" for a Keras model's own classes.
        input_shape: For imports whose shapes are open, see `imports.parse_shapes()`.

    Raises:
        InputError: It cannot be read or converted.
        RequestError: A package that it needs is not installed.
    """
    shapes = imports.parse_shapes(input_shape or "")
    if imports.is_import(path):
        return imports.to_float_tflite(path, shapes)
    if keras.is_keras(path):
        return Imported(keras.to_float_tflite(path, custom_objects))
    return Imported(read_file(path))


def float_tflite(path: Path, custom_objects: str | None = None) -> bytes:
    """As `read_source()`, of which it is the file alone."""
    return read_source(path, custom_objects).content
