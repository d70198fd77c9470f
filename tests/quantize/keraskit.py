"""Small data and networks for the tests that need TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = 4
SIDE = 8


def pictures(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Noisy pictures [N, 8, 8, 1] whose bright quarter is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = rng.uniform(0, 0.6, (count, SIDE, SIDE, 1)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        y, x = 4 * (label // 2), 4 * (label % 2)
        image[y : y + 4, x : x + 4] += 0.4
    return images, labels


def write_data(folder: Path) -> None:
    """train.npz and test.npz."""
    for name, count, seed in (("train", 256, 1), ("test", 128, 2)):
        images, labels = pictures(count, seed)
        np.savez(folder / f"{name}.npz", images=images, labels=labels)


def network(library: Any, width: int = 8) -> Any:
    """A CNN with all that filters have to know: a residual, a depthwise layer, a concatenation."""
    la = library.layers
    image = library.Input((SIDE, SIDE, 1), name="image")
    x = la.Conv2D(width, 3, padding="same", use_bias=False, name="stem")(image)
    x = la.BatchNormalization(name="norm")(x)
    x = shortcut = la.ReLU(name="stem_relu")(x)
    x = la.DepthwiseConv2D(3, padding="same", activation="relu", name="spatial")(x)
    x = la.Conv2D(width, 1, name="mix")(x)
    x = la.Add(name="add")([x, shortcut])
    x = la.MaxPooling2D(2, name="pool")(x)
    y = la.Conv2D(width, 3, padding="same", activation="relu", name="side")(x)
    x = la.Concatenate(name="both")([x, y])
    x = la.Flatten(name="flatten")(x)
    x = la.Dropout(0.1, name="dropout")(x)
    x = la.Dense(2 * width, activation="relu", name="hidden")(x)
    answer = la.Dense(CLASSES, activation="softmax", name="class")(x)
    return library.Model(image, answer, name="net")


def shaken(model: Any) -> Any:
    """The model with no weight left at what it began with, batch normalisation included."""
    rng = np.random.default_rng(3)
    model.set_weights(
        [w + rng.uniform(0.01, 0.2, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model
