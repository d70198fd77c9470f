"""`.npy` and `.npz`: arrays of NumPy's, read row by row, compressed or not."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import repeat
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InputError
from ...graph import Array
from ...npy import read_header
from ..data import LABEL_NAMES, Dataset, Lazy, Sample, as_label, one_count
from ..transform import Transform

Opener = Callable[[], AbstractContextManager[IO[bytes]]]
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
# Of a header that claims more than there is memory.
_TOO_MUCH = (MemoryError, OverflowError)
# A small compressed file may claim samples, or labels, of any size.
_MOST_BYTES = 1 << 28


class Rows:
    """An array in a file, whose rows are read one after the other.

    Args:
        open_file: Opens the file that it is.
        size_bytes: Of that file.
        label: What errors call it.

    Attributes:
        shape, dtype: Of the whole array.
    """

    def __init__(self, open_file: Opener, size_bytes: int, label: str) -> None:
        self._open = open_file
        self._label = label
        self._size_bytes = size_bytes
        with _damage_of(label), open_file() as file:
            self._header = read_header(file, size_bytes)
        self.shape, self.dtype = self._header.shape, self._header.dtype
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if self._row_bytes > _MOST_BYTES:
            raise InputError(
                f"{label} has samples of {self._row_bytes} bytes, at most {_MOST_BYTES} are read"
            )
        if self.dtype.hasobject:
            raise InputError(f"{label} holds Python objects, not numbers", "save plain arrays")
        if self.dtype.kind not in "fiubUS":
            raise InputError(f"{label} holds {self.dtype}, not real numbers", "save floats")

    def __len__(self) -> int:
        if not self.shape:
            raise InputError(f"{self._label} is one number, not samples")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if self._header.fortran:  # its rows lie scattered over the file
            yield from self.whole()
            return
        with _damage_of(self._label), self._open() as file:
            read_header(file, self._size_bytes)
            for _ in range(self.shape[0]):
                content = file.read(self._row_bytes)
                if len(content) != self._row_bytes:
                    raise EOFError("it ends too early")
                yield np.frombuffer(content, self.dtype).reshape(self.shape[1:])

    def whole(self) -> Array:
        if self._header.bytes > _MOST_BYTES:
            texts = self.dtype.kind in "US"
            raise InputError(
                f"{self._label} holds {self._header.bytes} bytes that are not read row by row, "
                f"at most {_MOST_BYTES} are read",
                "give labels as numbers" if texts else "numpy.ascontiguousarray(x) before saving",
            )
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
    with _damage_of(str(path)):
        size_bytes = path.stat().st_size
    rows = Rows(lambda: path.open("rb"), size_bytes, str(path))
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
        sizes = {
            m.filename.removesuffix(".npy"): m.file_size
            for m in archive.infolist()
            if m.filename.endswith(".npy")
        }
    members = list(sizes)
    if label is None:
        label = next((n for n in members if n.lower() in LABEL_NAMES and n not in columns), None)
    for name in (*columns, *([label] if label else [])):
        if name not in members:
            raise InputError(
                f"{path} has no array {name!r:.60}", f"it has: {', '.join(members)[:200]}"
            )

    def rows(name: str) -> Rows:
        label = f"{path}, array {name!r:.60}"
        return Rows(lambda: _member(path, f"{name}.npy"), sizes[name], label)

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
        answers: Iterator[Any] = iter(labels) if labels is not None else repeat(None, count)
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
