"""Magnitude pruning with TF-MOT: small weights become zero, by schedule or as N:M."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError, RequestError
from ..frameworks import first_line, tf_keras, tfmot
from .recipe import Step
from .training import Training, chosen, duplicate, fit

KINDS = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense", "SeparableConv1D", "SeparableConv2D")
_UPDATES = 20  # of the masks, between begin and end, where no frequency is given


def run(model: Any, step: Step, training: Training) -> tuple[Any, list[str]]:
    """The pruned model, and notes.

    Raises:
        InputError: A named layer cannot be pruned.
        RequestError: The training failed, or was too short for the schedule.
    """
    keras2, mot = tf_keras(), tfmot()
    names = {layer.name for layer in chosen(model, step, KINDS)}
    if step.pattern:
        _check_pattern(model, names, step)
    if training.epochs == 0:
        raise InputError("pruning happens while training; epochs is 0", "epochs = 3")
    settings = {"pruning_schedule": _schedule(step, training)}
    if step.zeros_of:
        settings["sparsity_m_by_n"] = step.zeros_of
    source = duplicate(model)

    def wrap(layer: Any) -> Any:
        if layer.name not in names:
            return layer
        try:
            return mot.sparsity.keras.prune_low_magnitude(layer, **settings)
        except ValueError as error:
            raise InputError(
                f"layer {layer.name!r} cannot be pruned: {first_line(error)}",
                f"skip = ['{layer.name}']",
            ) from error

    wrapped = keras2.models.clone_model(source, clone_function=wrap)
    fit(wrapped, training, [mot.sparsity.keras.UpdatePruningStep()])
    made = mot.sparsity.keras.strip_pruning(wrapped)
    _check(made, names, step)
    return made, [f"{zeros(made):.1%} of all kernel weights are zero"]


def zeros(model: Any) -> float:
    """The share of zeros among the weights of kernels."""
    kernels = [w for w in map(np.asarray, model.weights) if w.ndim > 1]
    return float(sum((w == 0).sum() for w in kernels) / max(1, sum(w.size for w in kernels)))


def _schedule(step: Step, training: Training) -> Any:
    """TF-MOT's schedule in optimizer steps; its last update is at its end, at full sparsity."""
    schedules = tfmot().sparsity.keras
    total = training.steps * training.epochs
    begin = int(total * (step.begin or 0.0))
    end = max(begin + 1, int(total * (0.75 if step.end is None else step.end)))
    frequency = min(step.frequency or max(1, (end - begin) // _UPDATES), end - begin)
    end = begin + (end - begin) // frequency * frequency
    if end >= total:
        end -= frequency
    if end < begin:
        raise RequestError(
            f"{total} optimizer steps are too few to prune in", "more epochs, or smaller batches"
        )
    if step.pattern or step.schedule == "constant":
        sparsity = step.sparsity if step.sparsity is not None else 0.5
        return schedules.ConstantSparsity(sparsity, begin, -1, frequency)
    return schedules.PolynomialDecay(
        initial_sparsity=step.initial_sparsity or 0.0,
        final_sparsity=step.sparsity,
        begin_step=begin,
        end_step=max(end, begin + 1),
        power=step.power or 3,
        frequency=frequency,
    )


def _check_pattern(model: Any, names: set[str], step: Step) -> None:
    """N:M runs along the input channels, and needs kernels of rank 2 or 4."""
    for layer in model.layers:
        rank = len(layer.kernel.shape) if layer.name in names and hasattr(layer, "kernel") else 4
        if rank not in (2, 4):
            raise InputError(
                f"layer {layer.name!r} ({type(layer).__name__}) takes no {step.pattern} pattern",
                f"skip = ['{layer.name}']",
            )


def _check(model: Any, names: set[str], step: Step) -> None:
    wanted = step.sparsity if step.zeros_of is None else step.zeros_of[0] / step.zeros_of[1]
    assert wanted is not None
    for layer in model.layers:
        kernels = [np.asarray(w) for w in layer.weights if len(w.shape) > 1]
        if layer.name not in names or not kernels:
            continue
        kernel = max(kernels, key=lambda k: k.size)
        got = float((kernel == 0).mean())
        # A whole number of weights goes, and blocks of a pattern are filled up with padding.
        slack = 1.0 / kernel.size + (0.02 if step.zeros_of is None else 1.0)
        if got < wanted - slack:
            raise RequestError(
                f"layer {layer.name!r} ended at {got:.1%} zeros, {wanted:.1%} were asked for",
                "more epochs, or an earlier end of the schedule: end = 0.5",
            )
