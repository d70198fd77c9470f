"""Kinds of data, by the file's ending; folders and functions are told apart in `data.load()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..data import Dataset
from ..transform import Transform
from . import arrays, table

# (path, transform, the label's name, the inputs' names, names of the classes)
Loader = Callable[
    [Path, Transform, str | None, tuple[str, ...], tuple[str, ...]],
    Dataset,
]

LOADERS: Mapping[str, Loader] = {
    ".npz": arrays.load_npz,
    ".npy": arrays.load_npy,
    ".csv": table.load,
}
