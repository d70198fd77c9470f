"""What a model is verified on: a user's arrays, or deterministic ones that reach the corners."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .files import write_whole
from .graph import Array, DType, Graph, Tensor
from .npy import Header, read_header

DEFAULT = "random:8"
_MOST_INPUTS = 1_000_000
# All inputs are held in memory, and so are the device's answers.
_MOST_BYTES = 1 << 30
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
        most = _most_random(graph)
        if not re.fullmatch("[0-9]{1,9}", count) or not 1 <= int(count) <= most:
            raise InputError(
                f"{spec[:60]!r} asks for no number of inputs from 1 to {most}", "--inputs random:8"
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
    write_whole(path, content.getvalue(), "--save-outputs")


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


def _most_random(graph: Graph) -> int:
    sample = sum(graph.tensors[t].bytes for t in graph.inputs)
    return min(_MOST_INPUTS, max(_MOST_BYTES // max(sample, 1), 1))


def _load(path: Path, graph: Graph) -> Sequence[Array]:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot read {str(path)[:200]!r}: {reason}",
            "--inputs takes random:N, a .npy or a .npz file",
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no regular file", "give a .npy or a .npz file")
    _check_size(path, status.st_size)
    try:
        return _arrays(path, graph)
    except InputError:
        raise
    except MemoryError as error:  # what its header claims
        raise InputError(f"{path} ends too early for the arrays that it names") from error
    except Exception as error:  # NumPy, zipfile, zlib and tokenize raise of all kinds
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path} holds Python objects, not numbers", "save plain arrays"
            ) from error
        raise InputError(f"{path} is not a .npy or .npz file of numbers: {error}") from error


def _arrays(path: Path, graph: Graph) -> Sequence[Array]:
    """The file's arrays, one an input of the model; none is read that cannot be its samples."""
    content: Any = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        if len(graph.inputs) != 1:
            raise InputError(f"{path} holds one array, {graph.name} has {len(graph.inputs)} inputs")
        return [content]
    with content:
        headers = _headers(content.zip)
        names = _names(headers, graph, path)
        for name, index in zip(names, graph.inputs, strict=True):
            _check(headers[name].shape, headers[name].dtype, graph.tensors[index], str(path))
        _check_size(path, sum(headers[name].bytes for name in names))
        return [content[name] for name in names]


def _headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    """Of the archive's arrays by name."""
    found = {}
    for member in archive.infolist():
        if member.filename.endswith(".npy"):
            with archive.open(member) as file:
                found[member.filename.removesuffix(".npy")] = read_header(file, member.file_size)
    return found


def _names(headers: Mapping[str, Header], graph: Graph, path: Path) -> list[str]:
    """Which arrays are the model's inputs, in its order."""
    names = [graph.tensors[t].name for t in graph.inputs]
    if all(name in headers for name in names):
        return names
    if len(names) == 1:
        tensor = graph.tensors[graph.inputs[0]]
        fitting = [name for name, h in headers.items() if _count(h.shape, h.dtype, tensor)]
        if len(fitting) == 1:
            return fitting
    if len(headers) != len(names):
        raise InputError(
            f"{path} holds {len(headers)} arrays, {graph.name} has {len(names)} inputs",
            f"name the arrays {', '.join(map(repr, names))}",
        )
    return list(headers)


def _check_size(path: Path, size_bytes: int) -> None:
    if size_bytes > _MOST_BYTES:
        raise InputError(
            f"{path} holds {size_bytes} bytes, at most {_MOST_BYTES} are read",
            "split it into several files",
        )


def _bare(tensor: Tensor) -> tuple[int, ...]:
    """A sample's shape; a leading batch of 1 in the model's may be left out."""
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def _count(shape: tuple[int, ...], dtype: np.dtype[Any], tensor: Tensor) -> int | None:
    """How many samples such an array holds; None where it cannot hold any."""
    if dtype != tensor.dtype.numpy:
        return None
    if shape in (tensor.shape, _bare(tensor)):
        return 1
    return shape[0] if shape and shape[1:] in (tensor.shape, _bare(tensor)) else None


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], tensor: Tensor, source: str) -> int:
    """How many samples such an array holds."""
    count = _count(shape, dtype, tensor)
    if dtype != tensor.dtype.numpy:
        raise InputError(
            f"{source} holds {dtype}, the input {tensor.name!r:.60} is {tensor.dtype.value}",
            "give the numbers as the model takes them: quantised where it is quantised"
            + (dtype.kind == "f") * "; with real ones: tinydeploy evaluate",
        )
    if count is None:
        raise InputError(
            f"{source} holds {list(shape)}, the input {tensor.name!r:.60} is {list(tensor.shape)}",
            f"give [{', '.join(['N', *map(str, tensor.shape)])}]",
        )
    if count > _MOST_INPUTS:
        raise InputError(
            f"{source} holds {count} samples, at most {_MOST_INPUTS} are read",
            "split it into several files",
        )
    return count


def _batch(array: Array, tensor: Tensor, source: str) -> Sequence[Array]:
    count = _check(array.shape, array.dtype, tensor, source)
    return list(np.ascontiguousarray(array).reshape(count, *tensor.shape))
