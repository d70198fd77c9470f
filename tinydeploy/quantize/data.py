"""Data for calibration and evaluation: samples one at a time, never a whole file in memory.

A `Dataset` can be iterated any number of times. `load()` makes one from a `.npz`, `.npy` or CSV
file, a folder of images or wav files, or a Python function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..graph import Array

# The label is what an array or a column with one of these names holds.
LABEL_NAMES = ("label", "labels", "y", "target", "targets", "class", "classes", "y_test")


@dataclass(frozen=True, eq=False)
class Sample:
    """One inference's worth of data.

    Attributes:
        inputs: An array an input, without the batch dimension, in the order of `Dataset.names`.
        label: The class's number, or the expected output; None when the data have no labels.
    """

    inputs: tuple[Array, ...]
    label: Array | int | None = None


class Dataset(Protocol):
    """Samples that can be gone through again and again.

    Attributes:
        names: Of the inputs: the model's, or any where the order is meant.
        label_names: Of the classes, where the data tell them; else ().
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...
    def __iter__(self) -> Iterator[Sample]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Lazy:
    """A dataset that is made anew each time it is gone through."""

    names: tuple[str, ...]
    start: Callable[[], Iterator[Sample]]
    count: int
    label_names: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        return self.start()

    def __len__(self) -> int:
        return self.count


def from_arrays(
    inputs: Array | Sequence[Array] | Mapping[str, Array], labels: Array | None = None
) -> Dataset:
    """A dataset of arrays in memory.

    Args:
        inputs: [N, …], one an input of the model, or by the inputs' names.
        labels: [N, …].

    Raises:
        InputError: The arrays have different numbers of samples, or none.
    """
    named = inputs if isinstance(inputs, Mapping) else _numbered(inputs)
    counts = {name: len(array) for name, array in named.items()}
    if labels is not None:
        counts["labels"] = len(labels)
    count = one_count(counts, "the data")
    arrays = tuple(named.values())

    def start() -> Iterator[Sample]:
        for i in range(count):
            label = None if labels is None else as_label(labels[i])
            yield Sample(tuple(array[i] for array in arrays), label)

    return Lazy(tuple(named), start, count)


def load(
    spec: str,
    *,
    transform: str = "",
    label: str | None = None,
    columns: Sequence[str] = (),
    label_names: Sequence[str] = (),
) -> Dataset:
    """The dataset that `spec` names.

    Args:
        spec: A `.npz`, `.npy` or `.csv` file, a folder of images or wav files (a folder a class),
            or "file.py:function".
        transform: Steps that each sample goes through, such as "resize=96x96,gray,scale=1/255";
            see `transform.parse()`.
        label: The array or column that is the label; else one of `LABEL_NAMES` when there is one.
        columns: The arrays or columns that are inputs; else all others.
        label_names: Of the classes, in the order of the model's outputs; else as the data say.

    Raises:
        InputError: It does not exist, cannot be read, or holds no sample. Damage further inside
            is found when the data are gone through.
    """
    from .loaders import LOADERS, folder, function  # they need the types above
    from .transform import parse

    path = Path(spec)
    steps = parse(transform)
    wanted = tuple(label_names)
    if ":" in spec and not path.exists() and spec.rpartition(":")[0].endswith(".py"):
        found = function.load(spec, steps)
    elif not path.exists():
        raise InputError(
            f"there is no {spec}",
            "data are a .npz, .npy or .csv file, a folder of images or wav files, "
            "or file.py:function",
        )
    elif path.is_dir():
        found = folder.load(path, steps, wanted)
    elif not path.is_file():  # a pipe would be waited for
        raise InputError(f"{spec} is not a regular file")
    elif path.suffix.lower() in LOADERS:
        found = LOADERS[path.suffix.lower()](path, steps, label, tuple(columns), wanted)
    else:
        raise InputError(f"{spec} is no kind of data that is known", f"known: {', '.join(LOADERS)}")
    if len(found) == 0:
        raise InputError(f"{spec} holds no sample")
    return found


def subset(dataset: Dataset, count: int) -> Dataset:
    """`count` samples spread evenly over the whole, so that sorted classes all have their share."""
    total = len(dataset)
    if count <= 0:
        raise InputError(f"{count} samples were asked for, at least 1 is needed")
    if count >= total:
        return dataset
    chosen = [i * total // count for i in range(count)]

    def start() -> Iterator[Sample]:
        wanted = iter(chosen)
        following = next(wanted)
        for i, sample in enumerate(dataset):
            if i == following:
                yield sample
                following = next(wanted, -1)
                if following < 0:
                    return

    return Lazy(dataset.names, start, count, dataset.label_names)


def batches(dataset: Dataset, size: int) -> Iterator[list[Sample]]:
    """The samples, `size` at a time; the last batch may be smaller."""
    samples = iter(dataset)
    while batch := list(islice(samples, size)):
        yield batch


def _shape_hint(value: Array, shape: tuple[int, ...]) -> str:
    if core((*value.shape[1:], *value.shape[:1])) == core(shape):
        return "--transform channels-last"
    if value.size == math.prod(shape):
        return f"--transform reshape={'x'.join(map(str, shape[1:]))}"
    return "samples are given without the batch dimension; see --transform"


def arranger(
    dataset: Dataset, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> Callable[[Sample], tuple[Array, ...]]:
    """What turns a sample into the arrays that a model takes, in the model's order and shape.

    Args:
        dataset: Its names are matched with the model's; where none is known, the order counts.
        names: Of the model's inputs.
        shapes: Of the model's inputs, batch dimension included. Dimensions of 1 may be missing
            from a sample, or be there too much.

    Raises:
        InputError: Here for the number and names of inputs, in the function for shapes.
    """
    order = _order(dataset.names, tuple(names))

    def arrange(sample: Sample) -> tuple[Array, ...]:
        arranged = []
        for place, name, shape in zip(order, names, shapes, strict=True):
            value = np.asarray(sample.inputs[place])
            if core(value.shape) != core(shape):
                raise InputError(
                    f"a sample of {dataset.names[place]!r:.60} is {list(value.shape)}, "
                    f"the model's input {name!r:.60} is {list(shape)}",
                    _shape_hint(value, shape),
                )
            arranged.append(value.reshape(shape))
        return tuple(arranged)

    return arrange


def one_count(counts: Mapping[str, int], source: str) -> int:
    """The number of samples that all arrays have.

    Raises:
        InputError: They differ, or it is 0.
    """
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name!r:.40} {count}" for name, count in counts.items())
        raise InputError(
            f"the arrays of {source} have different numbers of samples: {told}",
            "choose: --columns NAME --label NAME",
        )
    count = next(iter(counts.values()), 0)
    if count == 0:
        raise InputError(f"{source} holds no sample")
    return count


def as_label(value: Array | int) -> Array | int:
    """A label as `Sample` has it: a whole number is an int."""
    array = np.asarray(value)
    if array.size == 1 and array.ndim <= 1 and array.dtype.kind in "iub":
        return int(array.reshape(-1)[0])
    return array


def _numbered(inputs: Array | Sequence[Array]) -> Mapping[str, Array]:
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    return {f"input_{i}": array for i, array in enumerate(arrays)}


def _order(given: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, ...]:
    """For each input of the model, which of the data's it is."""
    plain = [_plain(name) for name in given]
    if len(set(plain)) == len(plain) and all(_plain(name) in plain for name in wanted):
        return tuple(plain.index(_plain(name)) for name in wanted)
    if len(given) != len(wanted):
        raise InputError(
            f"the data have {len(given)} inputs ({', '.join(given)[:120]}), "
            f"the model has {len(wanted)} ({', '.join(wanted)[:120]})",
            f"--columns {','.join(_plain(name) for name in wanted)[:120]}",
        )
    return tuple(range(len(wanted)))


def _plain(name: str) -> str:
    """A tensor's name as its author wrote it: "image" of "serving_default_image:0"."""
    return name.removeprefix("serving_default_").partition(":")[0]


def core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without dimensions of 1, which are a matter of taste."""
    return tuple(d for d in shape if d != 1)
