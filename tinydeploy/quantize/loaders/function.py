"""`file.py:function`: the user's own code yields the samples."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ..data import LABEL_NAMES, Dataset, Lazy, Sample, as_label
from ..transform import Transform


def load(spec: str, transform: Transform) -> Dataset:
    """What the function, called without arguments, returns or yields.

    Each item is a sample: an array; a pair (array or arrays, label); a dict of arrays by the
    inputs' names, "label" among them if there is one; or a `Sample`. The function is called
    anew each time the data are gone through.
    """
    function = _function(spec)
    names: tuple[str, ...] | None = None
    count = 0
    for names_here, _ in _samples(_called(function, spec), spec):
        names = names or names_here
        count += 1
    if names is None:
        raise InputError(f"{spec} yields no sample")
    known = names

    def start() -> Iterator[Sample]:
        for names_here, sample in _samples(_called(function, spec), spec):
            if names_here != known:
                raise InputError(f"{spec} yields inputs {names_here} after {known}")
            arrays = tuple(transform.apply(v, n) for v, n in zip(sample.inputs, known, strict=True))
            yield Sample(arrays, sample.label)

    return Lazy(known, start, count)


def _function(spec: str) -> Callable[[], Any]:
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"there is no file {file}", "data: file.py:function")
    module_spec = importlib.util.spec_from_file_location(f"_tinydeploy_data_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file} fails: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{file} has no function {name!r}")
    found: Callable[[], Any] = function
    return found


def _called(function: Callable[[], Any], spec: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise InputError(f"{spec} fails: {type(error).__name__}: {error}") from error


def _samples(items: Iterable[Any], spec: str) -> Iterator[tuple[tuple[str, ...], Sample]]:
    try:
        for item in items:
            yield _sample(item)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{spec} fails: {type(error).__name__}: {error}") from error


def _sample(item: Any) -> tuple[tuple[str, ...], Sample]:
    """(names of the inputs, the sample)."""
    if isinstance(item, Sample):
        return _numbered(len(item.inputs)), item
    label = None
    if isinstance(item, tuple) and len(item) == 2:
        item, label = item
    if isinstance(item, Mapping):
        named = dict(item)
        for name in LABEL_NAMES:
            if label is None and name in named:
                label = named.pop(name)
    elif isinstance(item, list | tuple):
        named = dict(zip(_numbered(len(item)), item, strict=True))
    else:
        named = {"input": item}
    arrays = tuple(np.asarray(value) for value in named.values())
    for name, array in zip(named, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} is {array.dtype}, not real numbers")
    return tuple(named), Sample(arrays, None if label is None else as_label(label))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"input_{i}" for i in range(count))
