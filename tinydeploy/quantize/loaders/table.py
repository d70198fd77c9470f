"""CSV: a row a sample, one column the label, the others features."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..data import LABEL_NAMES, Dataset, Lazy, Sample
from ..transform import Transform


def load(
    path: Path,
    transform: Transform,
    label: str | None,
    columns: tuple[str, ...],
    label_names: tuple[str, ...],
) -> Dataset:
    """Columns by the names in the first line; without names they are "0", "1", …

    A label that is no whole number in every row is a text: its classes are numbered in sorted
    order, or as `label_names` has them.
    """
    heads, skip = _heads(path)
    if label is None:
        label = next((h for h in heads if h.lower() in LABEL_NAMES and h not in columns), None)
    features = columns or tuple(h for h in heads if h != label)
    for name in (*features, *([label] if label is not None else [])):
        if name not in heads:
            raise InputError(
                f"{path} has no column {name!r:.60}", f"it has: {', '.join(heads)[:200]}"
            )
    places = [heads.index(name) for name in features]
    place = heads.index(label) if label is not None else None
    count, found = _survey(path, skip, place, len(heads))
    numbers = all(_is_whole(text) for text in found)
    texts = () if numbers else label_names or tuple(sorted(found))

    def start() -> Iterator[Sample]:
        for line, row in _rows(path, skip, len(heads)):
            try:
                value = np.array([float(row[i]) for i in places], np.float32)
            except ValueError as error:
                raise InputError(f"{path}, line {line}: {error}") from error
            answer = None
            if place is not None:
                answer = int(row[place]) if numbers else _index(texts, row[place], path, line)
            yield Sample((transform.apply(value, "features"),), answer)

    return Lazy(("features",), start, count, texts or label_names)


def _index(texts: tuple[str, ...], text: str, path: Path, line: int) -> int:
    if text.strip() not in texts:
        raise InputError(
            f"{path}, line {line}: label {text!r:.60} is unknown", f"known: {', '.join(texts)}"
        )
    return texts.index(text.strip())


def _heads(path: Path) -> tuple[list[str], int]:
    """Names of the columns, and how many lines they take."""
    for _, row in _rows(path, 0, None):
        if any(not _is_number(text) for text in row[:-1]) or not row[:-1]:
            return [text.strip() for text in row], 1
        return [str(i) for i in range(len(row))], 0
    raise InputError(f"{path} is empty")


def _survey(path: Path, skip: int, place: int | None, width: int) -> tuple[int, set[str]]:
    """How many rows there are, and every label."""
    count = 0
    found: set[str] = set()
    for _, row in _rows(path, skip, width):
        count += 1
        if place is not None:
            found.add(row[place].strip())
    return count, found


def _rows(path: Path, skip: int, width: int | None) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row that is not empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if not row:
                    continue
                if skip:
                    skip -= 1
                    continue
                if width is not None and len(row) != width:
                    raise InputError(
                        f"{path}, line {reader.line_num} has {len(row)} cells, "
                        f"the first has {width}"
                    )
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()
