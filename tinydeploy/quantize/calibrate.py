"""Calibration: a float model sees samples, and each of its tensors gets a range.

The ranges are computed here, on the activations of LiteRT's float kernels, so that every method
and every source of models shares one definition. Memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..errors import InputError
from ..graph import Array
from ..tflite.tensors import printable
from .data import Dataset, arranger
from .floatmodel import FloatModel, prepare
from .floatrun import Runner
from .statistics import Range, Statistics, TensorStatistics

_DIVERGED = "look for a division by zero, or for data far outside what the model was trained on"


def calibrate(
    content: bytes | FloatModel, dataset: Dataset, method: str = "minmax", bits: int = 8
) -> Mapping[str, Range]:
    """The range of every float tensor that a model computes.

    Args:
        content: A float `.tflite` file, or a prepared one.
        dataset: Samples as the model takes them.
        method: minmax, moving-average, percentile, mse or kl; "percentile:99.9" for another share.
        bits: 8 or 16: how finely the range is going to be divided.

    Raises:
        InputError: The data are empty, of another shape, or not numbers.
    """
    return observe(prepare(content), dataset).ranges(method, bits)


def observe(
    model: FloatModel,
    dataset: Dataset,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Statistics:
    """Runs the float model over the samples and keeps every tensor's statistics.

    Args:
        model: The prepared model.
        dataset: Samples as the model takes them; an integer type is taken as the numbers it holds.
        progress: Told how many samples are done, and of how many.
    """
    runner = Runner(model.content, keep=True)
    tensors = {name: TensorStatistics() for name in model.activations}
    numbers = {name: model.tensors[name].index for name in tensors}
    total = len(dataset)
    checkpoints = {n for n in (total // 8, total // 4, total // 2) if n}
    earlier: list[Statistics] = []
    done, varied, first = 0, False, None
    for inputs in model_inputs(model, dataset):
        runner.run(inputs)
        for name, statistics in tensors.items():
            values = runner.tensor(numbers[name])
            if not np.isfinite(values).all():
                raise InputError(
                    f"{model.label}: {_where(model, name)} puts out values that are no numbers "
                    f"for sample {done}",
                    _DIVERGED,
                )
            statistics.add(values)
        first = first or inputs
        varied = varied or not all(map(np.array_equal, inputs, first))
        done += 1
        progress(done, total)
        if done in checkpoints and done < total:
            earlier.append(Statistics(done, {n: s.copy() for n, s in tensors.items()}, varied))
    if not done:
        raise InputError("the calibration data hold no sample", "--data FILE.npz with some hundred")
    return Statistics(done, tensors, varied, tuple(earlier))


def model_inputs(model: FloatModel, dataset: Dataset) -> Iterator[tuple[Array, ...]]:
    """The samples in the model's own order, shapes and types, batch dimension included.

    Raises:
        InputError: A sample is of another shape, or holds what is no number.
    """
    tensors = [model.tensors[name] for name in model.inputs]
    arrange = arranger(dataset, model.inputs, [t.shape for t in tensors])
    for number, sample in enumerate(dataset):
        arranged = arrange(sample)
        for value in arranged:
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise InputError(
                    f"sample {number} holds values that are no numbers (NaN or infinite)",
                    "leave such samples out, or repair them where the data are made",
                )
        yield tuple(
            value.astype(np.float32) if tensor.is_float else value
            for value, tensor in zip(arranged, tensors, strict=True)
        )


def _where(model: FloatModel, tensor: str) -> str:
    layer = model.producer(tensor)
    return str(layer) if layer else f"the input {printable(tensor)}"
