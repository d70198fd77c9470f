"""`.npy` and `.npz`: arrays of NumPy's, read row by row, compressed or not."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InputError
from ...graph import Array
from ..data import LABEL_NAMES, Dataset, Lazy, Sample, as_label, one_count
from ..transform import Transform

Opener = Callable[[], AbstractContextManager[IO[bytes]]]
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
# Of a header that claims more than there is memory.
_TOO_MUCH = (MemoryError, OverflowError)


class Rows:
    """An array in a file, whose rows are read one after the other.

    Attributes:
        shape, dtype: Of the whole array.
    """

    def __init__(self, open_file: Opener, label: str) -> None:
        self._open = open_file
        self._label = label
        with _damage_of(label), open_file() as file:
            self.shape, self._fortran, self.dtype = _header(file)
        if self.dtype.hasobject:
            raise InputError(f"{label} holds Python objects, not numbers", "save plain arrays")
        if self.dtype.kind not in "fiubUS":
            raise InputError(f"{label} holds {self.dtype}, not real numbers", "save floats")

    def __len__(self) -> int:
        if not self.shape:
            raise InputError(f"{self._label} is one number, not samples")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if self._fortran:  # its rows lie scattered over the file
            yield from self.whole()
            return
        shape = self.shape[1:]
        row_bytes = math.prod(shape) * self.dtype.itemsize
        with _damage_of(self._label), self._open() as file:
            _header(file)
            for _ in range(self.shape[0]):
                content = file.read(row_bytes)
                if len(content) != row_bytes:
                    raise EOFError("it ends too early")
                yield np.frombuffer(content, self.dtype).reshape(shape)

    def whole(self) -> Array:
        with _damage_of(self._label), self._open() as file:
            content: Array = np.lib.format.read_array(file, allow_pickle=False)
        return content


def load_npy(
    path: Path,
    transform: Transform,
    label: str | None,
    columns: tuple[str, ...],
    label_names: tuple[str, ...],
) -> Dataset:
    """One array: the model's only input, without labels."""
    if label is not None or columns:
        raise InputError(f"{path} holds one array without a name", "use a .npz file for labels")
    rows = Rows(lambda: path.open("rb"), str(path))
    return _dataset({"input": rows}, None, transform, label_names, str(path))


def load_npz(
    path: Path,
    transform: Transform,
    label: str | None,
    columns: tuple[str, ...],
    label_names: tuple[str, ...],
) -> Dataset:
    """Arrays by name: one of them the labels, the others inputs."""
    with _damage_of(str(path)), zipfile.ZipFile(path) as archive:
        members = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    if label is None:
        label = next((n for n in members if n.lower() in LABEL_NAMES and n not in columns), None)
    for name in (*columns, *([label] if label else [])):
        if name not in members:
            raise InputError(
                f"{path} has no array {name!r:.60}", f"it has: {', '.join(members)[:200]}"
            )

    def rows(name: str) -> Rows:
        return Rows(lambda: _member(path, f"{name}.npy"), f"{path}, array {name!r:.60}")

    inputs = {n: rows(n) for n in columns or members if n != label}
    if not columns:  # a single number says something about the samples
        inputs = {n: found for n, found in inputs.items() if found.shape}
    if not inputs:
        raise InputError(f"{path} holds no array for the inputs", "numpy.savez(path, x=…, y=…)")
    return _dataset(inputs, rows(label) if label else None, transform, label_names, str(path))


def _dataset(
    inputs: dict[str, Rows],
    labels: Rows | None,
    transform: Transform,
    label_names: tuple[str, ...],
    source: str,
) -> Dataset:
    counts = {name: len(rows) for name, rows in inputs.items()}
    if labels is not None:
        counts["labels"] = len(labels)
    count = one_count(counts, source)
    texts: tuple[str, ...] = ()
    if labels is not None and labels.dtype.kind in "US":
        texts = label_names or tuple(sorted({str(t) for t in labels.whole().astype(str).ravel()}))
    names = tuple(inputs)

    def start() -> Iterator[Sample]:
        rows = zip(*inputs.values(), strict=True)
        answers: Iterator[Any] = iter(labels) if labels is not None else iter([None] * count)
        for values, answer in zip(rows, answers, strict=True):
            arrays = tuple(transform.apply(v, n) for v, n in zip(values, names, strict=True))
            yield Sample(arrays, _label(answer, texts, source))

    return Lazy(names, start, count, texts or label_names)


def _label(answer: Array | None, texts: tuple[str, ...], source: str) -> Array | int | None:
    if answer is None:
        return None
    if not texts:
        return as_label(answer)
    text = str(answer.astype(str).ravel()[0])
    if text not in texts:
        raise InputError(f"{source} has the label {text!r:.60}", f"--labels has {', '.join(texts)}")
    return texts.index(text)


def _member(path: Path, name: str) -> AbstractContextManager[IO[bytes]]:
    archive = zipfile.ZipFile(path)
    file = archive.open(name)
    archive.close()  # it stays open as long as the member does
    return file


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


class _damage_of:  # noqa: N801, a context manager reads as a verb
    """Turns what NumPy and zipfile raise of a bad file into an `InputError`."""

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, _TOO_MUCH):
            raise InputError(f"{self._label} cannot be read: it ends too early") from error
        if isinstance(error, _DAMAGE):
            raise InputError(f"{self._label} cannot be read: {error}") from error
