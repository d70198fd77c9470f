"""Quantisation-aware training with TF-MOT, keeping zeros and shared weights where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ...errors import InputError
from ..frameworks import first_line, tensorflow, tfmot
from ..keras import to_tflite
from .training import Training, duplicate, first_batches, fit

# Ranges that are moving averages: those of activations, not those of weights.
_AVERAGED = re.compile(r"(activation|output)_(min|max)(:0)?$")
_RANGE = re.compile(r"_(min|max)(:0)?$")
_DECAY = 0.999  # MovingAvgQuantize's own
_BATCHES, _ROUNDS = 8, 8
_HINT = "leave out the qat step: every stage is quantised after training anyway"


def run(model: Any, training: Training, *, sparse: bool, clustered: bool) -> tuple[Any, list[str]]:
    """The model with quantisers, trained, and notes.

    Raises:
        InputError: It has a layer that TF-MOT cannot quantise.
    """
    made = quantized(model, sparse=sparse, clustered=clustered)
    settle(made, training)
    fit(made, training)
    return made, []


def quantized(model: Any, *, sparse: bool, clustered: bool) -> Any:
    """A copy with quantisers around every layer, in the scheme that keeps what was won.

    Args:
        sparse, clustered: What pruning and clustering steps did before.

    Raises:
        InputError: It has a layer that TF-MOT cannot quantise.
    """
    mot = tfmot()
    combine = mot.experimental.combine
    scheme: Any = None
    if clustered:
        scheme = combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=sparse)
    elif sparse:
        scheme = combine.Default8BitPrunePreserveQuantizeScheme()
    _check_layers(model)
    try:
        annotated = mot.quantization.keras.quantize_annotate_model(duplicate(model))
        if scheme is None:
            return mot.quantization.keras.quantize_apply(annotated)
        return mot.quantization.keras.quantize_apply(annotated, scheme)
    except (ValueError, RuntimeError, TypeError) as error:
        named = re.search(r"Layer (\S+?):<class '([\w.]+)'>", str(error))
        if named:
            raise InputError(
                f"layer {named[1]!r} ({named[2].rpartition('.')[2]}) cannot be trained quantised",
                _HINT,
            ) from error
        raise InputError(
            f"{model.name} cannot be trained quantised: {first_line(error)}"
        ) from error


def settle(model: Any, training: Training) -> None:
    """Gives the activations' quantisers ranges of what they see, before training starts.

    TF-MOT begins each at [-6, 6] and moves it by a thousandth a step: after the few epochs that
    fine-tuning takes, a ReLU would still waste a third of its levels on negative numbers. After n
    steps from v the average of what was seen is (range - d^n v) / (1 - d^n). As what one layer
    sees depends on the ranges of those before it, this is done until nothing changes.

    Args:
        model: With quantisers; only their ranges change.
        training: Whose data to look at.
    """
    tf = tensorflow()
    ranges = [w for w in model.weights if _AVERAGED.search(w.name)]
    others = [w for w in model.weights if not _RANGE.search(w.name)]
    kept = [tf.identity(w) for w in others]
    look = tf.function(lambda values: model(values, training=True), reduce_retracing=True)
    for _ in range(_ROUNDS):
        before = [float(w) for w in ranges]
        steps = 0
        for values in first_batches(model, training, _BATCHES):
            look(values)
            steps += 1
        left = _DECAY**steps
        for variable, start in zip(ranges, before, strict=True):
            average = (float(variable) - left * start) / (1 - left)
            # Every range holds 0, whatever rounding makes of it.
            variable.assign(min(average, 0.0) if "_min" in variable.name else max(average, 0.0))
        after = [float(w) for w in ranges]
        if all(abs(a - b) <= 0.01 * max(abs(a), 1e-3) for a, b in zip(after, before, strict=True)):
            break
    for variable, value in zip(others, kept, strict=True):
        variable.assign(value)


def _check_layers(model: Any) -> None:
    """Names the first layer of the user's own; what TF-MOT says of it hides which it is."""
    for layer in model.layers:
        if not type(layer).__module__.startswith("tf_keras."):
            raise InputError(
                f"layer {layer.name!r} ({type(layer).__name__}) cannot be trained quantised", _HINT
            )


def to_int8(model: Any, name: str, samples: Iterable[Any]) -> bytes:
    """The trained model as an int8 `.tflite`, with the ranges that it has learned.

    Args:
        samples: Lists of inputs with batch 1, for tensors that have no learned range.
    """
    tf = tensorflow()
    options = {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "inference_input_type": tf.int8,
        "inference_output_type": tf.int8,
        # With only int8 operators allowed the converter wants data, although the ranges are there.
        "representative_dataset": lambda: iter(samples),
        "target_spec.supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    }
    return to_tflite(model, name, **options)
