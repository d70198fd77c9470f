"""Trains a network that tells pictures of faces from pictures of anything else.

    python -m venv .venv && .venv/bin/pip install 'tensorflow>=2.21,<2.22' scikit-image
    .venv/bin/python examples/faces/train.py

faces_float.tflite      the network as it was trained, batch 1
faces_calibration.npz   the training pictures, to quantise it with
faces_eval.npz          the test pictures and their labels

Nothing is downloaded: the pictures ship with scikit-image. Seeds are fixed and TensorFlow runs its
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
from numpy.typing import NDArray
from skimage.data import lfw_subset

SEED = 20
EPOCHS = 30
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

BATCH = 16
TEST_PICTURES = 60


def load_split() -> tuple[Floats, Labels, Floats, Labels]:
    """(training pictures, labels, test pictures, labels); pictures [N, 25, 25, 1], 0 to 1.

    Label 1 is a face. As many of each kind are in both parts.
    """
    stored = np.asarray(lfw_subset(), np.float32)
    pictures = (stored / stored.max())[..., np.newaxis]
    labels = np.repeat(np.array([1, 0], np.int64), 100)
    order = np.random.default_rng(SEED).permutation(100)
    test, training = order[: TEST_PICTURES // 2], order[TEST_PICTURES // 2 :]
    both = [np.concatenate([part, part + 100]) for part in (training, test)]
    return pictures[both[0]], labels[both[0]], pictures[both[1]], labels[both[1]]


def network(batch: int | None) -> keras.Model:
    """Separable convolutions; the converter folds each normalisation into its convolution."""
    layers = keras.layers

    def settled(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))

    picture = keras.Input(batch_shape=(batch, 25, 25, 1), name="picture")
    x = settled(layers.Conv2D(12, 3, 2, padding="same", name="stem")(picture), "stem")
    for number, (channels, stride) in enumerate([(24, 2), (32, 2), (32, 1)]):
        spatial = layers.DepthwiseConv2D(3, stride, padding="same", name=f"spatial_{number}")(x)
        x = settled(spatial, f"spatial_{number}")
        x = settled(layers.Conv2D(channels, 1, name=f"mix_{number}")(x), f"mix_{number}")
    x = layers.AveragePooling2D(4, name="average")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, seed=SEED)(x)
    answer = layers.Dense(2, activation="softmax", name="answer")(x)
    return keras.Model(picture, answer, name="faces")


def varied(pictures: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """The pictures, mirrored, moved by a pixel, darker and brighter: 140 are few."""
    both = np.concatenate([pictures, pictures[:, :, ::-1]])
    padded = np.pad(both, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    moves = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    copies = [padded[:, y : y + 25, x : x + 25] for y, x in moves]
    copies += [both * np.float32(0.75), np.minimum(both * np.float32(1.25), 1)]
    return np.concatenate(copies), np.tile(labels, 2 * len(copies))


def train(x: Floats, labels: Labels, epochs: int) -> keras.Model:
    """The trained float network. The epochs are fixed: no test sample decides anything."""
    model = network(batch=None)
    steps = epochs * -(-len(x) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
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
    model = train(*varied(train_x, train_y), chosen.epochs)
    right = int(np.sum(np.argmax(model.predict(test_x, verbose=0), axis=1) == test_y))

    content = to_tflite(model)
    (chosen.out / "faces_float.tflite").write_bytes(content)
    np.savez_compressed(chosen.out / "faces_calibration.npz", picture=train_x)
    np.savez_compressed(
        chosen.out / "faces_eval.npz", picture=test_x, labels=test_y.astype(np.uint8)
    )
    print(f"parameters  {model.count_params()}")
    print(f"float       {right} of {len(test_x)} test samples right")
    print(f"wrote       faces_float.tflite ({len(content)} bytes)")
    print("wrote       faces_calibration.npz, faces_eval.npz")


if __name__ == "__main__":
    main()
