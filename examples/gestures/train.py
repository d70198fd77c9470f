"""Trains a network that tells four activities by an inertial sensor.

    python -m venv .venv && .venv/bin/pip install 'tensorflow>=2.21,<2.22' aeon
    .venv/bin/python examples/gestures/train.py

gestures_float.tflite      the network as it was trained, batch 1
gestures_calibration.npz   the training windows, to quantise it with
gestures_eval.npz          the test windows and their labels

Nothing is downloaded: the data ship with aeon. Seeds are fixed and TensorFlow runs its
deterministic kernels on one thread, so the same package versions on the same processor type
give the same files.
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernels differ from one processor to the next
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from aeon.datasets import load_basic_motions
from numpy.typing import NDArray

SEED = 20
EPOCHS = 150
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

BATCH = 8
CLASSES = ("Badminton", "Running", "Standing", "Walking")
# What the sensor's axes are divided by: accelerations three times, then rates of rotation.
SCALES = np.array([20, 20, 20, 5, 5, 5], np.float32)


def load_split() -> tuple[Floats, Labels, Floats, Labels]:
    """(training windows, labels, test windows, labels); windows [N, 1, 100, 6], around 0.

    The split is the data set's own: 40 windows each.
    """
    parts: list[NDArray[np.generic]] = []
    for name in ("train", "test"):
        x, y = load_basic_motions(split=name)
        windows = np.asarray(x, np.float32).transpose(0, 2, 1) / SCALES
        names = [str(label).lower() for label in y]
        parts += [
            windows[:, np.newaxis],
            np.array([[c.lower() for c in CLASSES].index(n) for n in names], np.int64),
        ]
    return tuple(parts)  # type: ignore[return-value]


def network(batch: int | None) -> keras.Model:
    """One-dimensional convolutions over time, as convolutions over a picture that is 1 high."""
    layers = keras.layers
    window = keras.Input(batch_shape=(batch, 1, 100, 6), name="window")
    x = layers.Conv2D(16, (1, 7), (1, 2), padding="same", activation="relu", name="c1")(window)
    x = layers.Conv2D(24, (1, 5), (1, 2), padding="same", activation="relu", name="c2")(x)
    x = layers.Conv2D(32, (1, 5), (1, 2), padding="same", activation="relu", name="c3")(x)
    x = layers.AveragePooling2D((1, 13), name="average")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, seed=SEED)(x)
    activity = layers.Dense(len(CLASSES), activation="softmax", name="activity")(x)
    return keras.Model(window, activity, name="gestures")


def shifted(windows: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """The windows and their copies begun later, weaker and stronger: 40 are few."""
    copies = [np.roll(windows, shift, axis=2) for shift in (0, 17, 39, 61, 83)]
    copies += [windows * np.float32(factor) for factor in (0.8, 1.25)]
    return np.concatenate(copies), np.tile(labels, len(copies))


def train(x: Floats, labels: Labels, epochs: int) -> keras.Model:
    """The trained float network. The epochs are fixed: no test sample decides anything."""
    model = network(batch=None)
    steps = epochs * -(-len(x) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(x, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def to_tflite(model: keras.Model) -> bytes:
    """The trained network as a float `.tflite` file with a batch of 1.

    A dynamic batch would add SHAPE, STRIDED_SLICE and PACK.
    """
    fixed = network(batch=1)
    fixed.set_weights(model.get_weights())
    return bytes(tf.lite.TFLiteConverter.from_keras_model(fixed).convert())


def deterministic() -> None:
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(SEED)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the network and writes its files.")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer for a quick look")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    return parser.parse_args()


def main() -> None:
    chosen = options()
    deterministic()
    train_x, train_y, test_x, test_y = load_split()
    model = train(*shifted(train_x, train_y), chosen.epochs)
    right = int(np.sum(np.argmax(model.predict(test_x, verbose=0), axis=1) == test_y))

    content = to_tflite(model)
    (chosen.out / "gestures_float.tflite").write_bytes(content)
    np.savez_compressed(chosen.out / "gestures_calibration.npz", window=train_x)
    np.savez_compressed(
        chosen.out / "gestures_eval.npz", window=test_x, labels=test_y.astype(np.uint8)
    )
    print(f"parameters  {model.count_params()}")
    print(f"float       {right} of {len(test_x)} test samples right")
    print(f"wrote       gestures_float.tflite ({len(content)} bytes)")
    print("wrote       gestures_calibration.npz, gestures_eval.npz")


if __name__ == "__main__":
    main()
