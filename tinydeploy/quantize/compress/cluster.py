"""Weight clustering with TF-MOT: each layer's weights share a few values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ...errors import InputError
from ..frameworks import first_line, module, tf_keras, tfmot
from .recipe import Step
from .training import Training, chosen, duplicate, fit

# Depthwise layers have few weights, and TF-MOT leaves them alone.
KINDS = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense")
_INITS = {
    "kmeans++": "KMEANS_PLUS_PLUS",
    "density": "DENSITY_BASED",
    "linear": "LINEAR",
    "random": "RANDOM",
}
_EXPERIMENTAL = "tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster"


def run(model: Any, step: Step, training: Training, *, sparse: bool) -> tuple[Any, list[str]]:
    """The clustered model, and notes.

    Args:
        model: Untouched: TF-MOT changes what it is given, so it gets a copy.
        sparse: Whether its zeros are a pruning step's and stay zeros.

    Raises:
        InputError: A named layer cannot be clustered.
    """
    keras2, mot = tf_keras(), tfmot()
    assert step.clusters is not None
    suited = chosen(model, step, KINDS)
    names = {layer.name for layer in suited if distinct(layer) > step.clusters}
    if not names:
        return duplicate(model), [f"no layer has more than {step.clusters} different weights"]
    cluster_weights = module(_EXPERIMENTAL).cluster_weights
    init = mot.clustering.keras.CentroidInitialization[_INITS[step.init or "kmeans++"]]
    random.seed(training.seed)  # K-means++ draws from here
    source = duplicate(model)

    def wrap(layer: Any) -> Any:
        if layer.name not in names:
            return layer
        try:
            return cluster_weights(
                layer, step.clusters, cluster_centroids_init=init, preserve_sparsity=sparse
            )
        except ValueError as error:
            raise InputError(
                f"layer {layer.name!r} cannot be clustered: {first_line(error)}",
                f"skip = ['{layer.name}']",
            ) from error

    wrapped = keras2.models.clone_model(source, clone_function=wrap)
    fit(wrapped, training)
    made = mot.clustering.keras.strip_clustering(wrapped)
    left = [layer.name for layer in suited if layer.name not in names]
    notes = [f"layers with fewer weights than that: {', '.join(left)}"] if left else []
    return made, notes


def distinct(layer: Any) -> int:
    """How many different values the layer's kernel has."""
    return int(np.unique(np.asarray(layer.kernel)).size)
