"""Models of other frameworks in: ONNX and PyTorch, out as float `.tflite`, channels last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError

_SUFFIXES = (".onnx", ".pt2", ".pt", ".pth")
_SPEC = re.compile(r"(.+\.py):(\w+)")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Imported:
    """A model that was imported.

    Attributes:
        content: A float `.tflite` file with batch 1.
        notes: What differs from the source, and what it costs.
    """

    content: bytes
    notes: tuple[str, ...] = ()


def is_import(path: Path) -> bool:
    """Whether a path is meant as a model of another framework: by its suffix, or file.py:name."""
    return path.suffix.lower() in _SUFFIXES or _SPEC.fullmatch(str(path)) is not None


def to_float_tflite(path: Path, input_shapes: Shapes) -> Imported:
    """The model as a float `.tflite` file, the transpositions removed that can be.

    Args:
        path: `.onnx`, `.pt2` (`torch.export.save`), or "file.py:function".
        input_shapes: By the input's name, batch included; "" stands for the only input.

    Raises:
        InputError: It is damaged, dynamic, or has operators that cannot be converted.
        RequestError: A package is missing, or the conversion took too long.
    """
    from . import layout, onnx, torch

    found = _SPEC.fullmatch(str(path))
    file = Path(found[1]) if found else path
    if not file.is_file():
        raise InputError(f"{file} does not exist")
    if path.suffix.lower() == ".onnx":
        made = onnx.convert(path, input_shapes)
    elif found:
        made = torch.convert_function(file, found[2], input_shapes)
    else:
        made = torch.convert_file(path)
    settled = layout.settle(made.content, path.name)
    return Imported(settled.content, (*made.notes, *settled.notes))


def parse_shapes(text: str) -> Shapes:
    """ "1,3,32,32" or "image=1,3,32,32;mask=1,1,32,32".

    Raises:
        InputError: It is neither.
    """
    shapes = {}
    for part in filter(None, text.split(";")):
        name, _, sizes = part.rpartition("=")
        if name.strip() in shapes:
            raise InputError(f"there are two input shapes for {name.strip() or 'one input'!r:.60}")
        try:
            shapes[name.strip()] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shapes[name.strip()] = ()
        if not shapes[name.strip()] or min(shapes[name.strip()]) < 1:
            raise InputError(
                f"the input shape {part!r:.60} is no list of positive sizes",
                "--input-shape 1,3,32,32, or with names: --input-shape 'image=1,3,32,32'",
            )
    if "" in shapes and len(shapes) > 1:
        raise InputError("of several input shapes each needs its input's name",
                         "--input-shape 'image=1,3,32,32;mask=1,1,32,32'")  # fmt: skip
    return shapes
