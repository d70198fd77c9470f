"""What a model is verified on: a user's arrays, or deterministic ones that reach the corners."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .files import write_whole
from .graph import Array, DType, Graph, Tensor

DEFAULT = "random:8"
_MOST_RANDOM = 1_000_000
_SEED = 20_240_229

# One array for each input of the model: one inference.
InputSet = tuple[Array, ...]


def read_inputs(spec: str, graph: Graph) -> tuple[InputSet, ...]:
    """The input sets that `spec` names.

    Args:
        spec: "random:N", or the path of a `.npy` (models with one input) or `.npz` file. Arrays
            are [N, *shape] or [*shape], in the input's own dtype; those of a `.npz` carry the
            input's name, or stand in the model's order.
        graph: The model.

    Raises:
        InputError: The file cannot be read, or its arrays are not the model's inputs.
    """
    kind, _, count = spec.partition(":")
    if kind == "random":
        if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= _MOST_RANDOM:
            raise InputError(
                f"{spec!r} asks for no number of inputs from 1 to {_MOST_RANDOM}",
                "--inputs random:8",
            )
        return random_inputs(graph, int(count))
    arrays = _load(Path(spec), graph)
    batches = [
        _batch(array, graph.tensors[t], spec) for array, t in zip(arrays, graph.inputs, strict=True)
    ]
    counts = {len(batch) for batch in batches}
    if len(counts) != 1:
        raise InputError(f"{spec} holds {sorted(counts)} samples for the inputs, one count is due")
    if counts == {0}:
        raise InputError(f"{spec} holds no sample")
    return tuple(zip(*batches, strict=True))


def random_inputs(graph: Graph, count: int) -> tuple[InputSet, ...]:
    """`count` input sets, the same in every run: first the corners, then noise of many sizes."""
    rng = np.random.default_rng(_SEED)
    return tuple(
        tuple(_sample(graph.tensors[t], i, rng) for t in graph.inputs) for i in range(count)
    )


def write_outputs(path: Path, graph: Graph, outputs: Sequence[Sequence[Array]]) -> None:
    """Saves what a device answered as a `.npz`: an array an output, [N, *shape], row by input.

    Raises:
        RequestError: It cannot be written.
    """
    arrays = {
        graph.tensors[t].name: np.stack([row[i] for row in outputs])
        for i, t in enumerate(graph.outputs)
    }
    # A name may be anything, and two may be the same; a zip's members may not.
    safe = all(re.fullmatch(r"[\w.:;-]{1,200}", name) for name in arrays)
    if not safe or len(arrays) != len(graph.outputs):
        arrays = {
            f"output_{i}": np.stack([row[i] for row in outputs]) for i in range(len(graph.outputs))
        }
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue())


def _sample(tensor: Tensor, number: int, rng: np.random.Generator) -> Array:
    if tensor.dtype is DType.FLOAT32:
        scale = (1.0, 0.1, 10.0, 100.0)[number % 4]
        return (rng.standard_normal(tensor.shape) * scale).astype(np.float32)
    limits = np.iinfo(tensor.dtype.numpy)
    low, high = int(limits.min), int(limits.max)
    if number == 1:
        return np.full(tensor.shape, high, tensor.dtype.numpy)
    if number == 2:
        return np.full(tensor.shape, low, tensor.dtype.numpy)
    noise = rng.integers(low, high, tensor.shape, dtype=np.int64, endpoint=True)
    if number % 4 == 3:  # around the zero point, where trained networks live
        zero = tensor.quantization.zero_points[0] if tensor.quantization else 0
        noise = np.clip(zero + noise // 8, low, high)
    return noise.astype(tensor.dtype.numpy)


def _load(path: Path, graph: Graph) -> Sequence[Array]:
    wanted = len(graph.inputs)
    try:
        content: Any = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no file {path}", "--inputs takes random:N, a .npy or a .npz file"
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a .npy or .npz file of numbers: {error}") from error
    if isinstance(content, np.ndarray):
        if wanted != 1:
            raise InputError(f"{path} holds one array, {graph.name} has {wanted} inputs")
        return [content]
    with content:
        try:
            names = [graph.tensors[t].name for t in graph.inputs]
            if all(name in content.files for name in names):
                return [content[name] for name in names]
            if len(content.files) != wanted:
                raise InputError(
                    f"{path} holds {len(content.files)} arrays, {graph.name} has {wanted} inputs",
                    f"name the arrays {', '.join(map(repr, names))}",
                )
            return [content[name] for name in content.files]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is damaged: {error}") from error


def _batch(array: Array, tensor: Tensor, source: str) -> Sequence[Array]:
    if array.dtype != tensor.dtype.numpy:
        raise InputError(
            f"{source} holds {array.dtype}, the input {tensor.name!r:.60} is {tensor.dtype.value}",
            "give the numbers as the model takes them: quantised where it is quantised",
        )
    shape = tensor.shape
    if array.shape == shape:
        return [np.ascontiguousarray(array)]
    # A leading batch of 1 in the model's shape may be left out of each sample.
    for sample in (shape, shape[1:] if shape[:1] == (1,) else shape):
        if array.ndim == len(sample) + 1 and array.shape[1:] == sample:
            return [np.ascontiguousarray(a).reshape(shape) for a in array]
    raise InputError(
        f"{source} holds {list(array.shape)}, the input {tensor.name!r:.60} is {list(shape)}",
        f"give {['N', *shape]}",
    )
