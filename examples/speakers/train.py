"""Trains a network that tells nine speakers by how they say two vowels.

    python -m venv .venv && .venv/bin/pip install 'tensorflow>=2.21,<2.22' aeon
    .venv/bin/python examples/speakers/train.py

speakers_float.tflite      the network as it was trained, batch 1
speakers_calibration.npz   the training utterances, to quantise it with
speakers_eval.npz          the test utterances and their labels

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
from aeon.datasets import load_japanese_vowels
from numpy.typing import NDArray

SEED = 20
EPOCHS = 80
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

BATCH = 16
FRAMES = 28  # 7 to 29 are in an utterance; the rest stays 0


def load_split() -> tuple[Floats, Labels, Floats, Labels]:
    """(training utterances, labels, test utterances, labels); [N, 1, 28, 12], around 0.

    Twelve cepstral coefficients a frame. The split is the data set's own: 270 and 370.
    """
    parts: list[NDArray[np.generic]] = []
    for name in ("train", "test"):
        found, speakers = load_japanese_vowels(split=name)
        utterances = np.zeros((len(found), 1, FRAMES, 12), np.float32)
        for place, utterance in zip(utterances, found, strict=True):
            frames = np.asarray(utterance, np.float32).T[:FRAMES]
            place[0, : len(frames)] = frames
        parts += [utterances, np.array([int(s) - 1 for s in speakers], np.int64)]
    return tuple(parts)  # type: ignore[return-value]


def network(batch: int | None) -> keras.Model:
    """Convolutions over time, as convolutions over a picture that is 1 high."""
    layers = keras.layers
    utterance = keras.Input(batch_shape=(batch, 1, FRAMES, 12), name="utterance")
    x = layers.Conv2D(32, (1, 5), padding="same", activation="relu", name="c1")(utterance)
    x = layers.MaxPooling2D((1, 2), name="pool")(x)
    x = layers.DepthwiseConv2D((1, 5), padding="same", activation="relu", name="spatial")(x)
    x = layers.Conv2D(48, 1, activation="relu", name="mix")(x)
    x = layers.AveragePooling2D((1, 14), name="average")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, seed=SEED)(x)
    speaker = layers.Dense(9, activation="softmax", name="speaker")(x)
    return keras.Model(utterance, speaker, name="speakers")


def moved(utterances: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """The utterances, and copies with a little noise that begin one and two frames later."""
    rng = np.random.default_rng(SEED)
    copies = [utterances]
    for shift in (0, 1, 2):
        later = np.pad(utterances, ((0, 0), (0, 0), (shift, 0), (0, 0)))[:, :, :FRAMES]
        noise = rng.normal(0, 0.04, later.shape).astype(np.float32)
        copies.append(later + noise * (later != 0))
    return np.concatenate(copies), np.tile(labels, len(copies))


def train(x: Floats, labels: Labels, epochs: int) -> keras.Model:
    """The trained float network. The epochs are fixed: no test sample decides anything."""
    model = network(batch=None)
    steps = epochs * -(-len(x) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps)),
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
    model = train(*moved(train_x, train_y), chosen.epochs)
    right = int(np.sum(np.argmax(model.predict(test_x, verbose=0), axis=1) == test_y))

    content = to_tflite(model)
    (chosen.out / "speakers_float.tflite").write_bytes(content)
    np.savez_compressed(chosen.out / "speakers_calibration.npz", utterance=train_x)
    np.savez_compressed(
        chosen.out / "speakers_eval.npz", utterance=test_x, labels=test_y.astype(np.uint8)
    )
    print(f"parameters  {model.count_params()}")
    print(f"float       {right} of {len(test_x)} test samples right")
    print(f"wrote       speakers_float.tflite ({len(content)} bytes)")
    print("wrote       speakers_calibration.npz, speakers_eval.npz")


if __name__ == "__main__":
    main()
