"""Trains the digits CNN that `tinydeploy demo` builds, and writes the files beside this one, or
into the folder that is named.

    python -m venv .venv && .venv/bin/pip install 'tensorflow>=2.21,<2.22' scikit-learn
    .venv/bin/python examples/digits/train.py [FOLDER]

digits_float.tflite      the network as it was trained, batch 1
digits_calibration.npz   500 training images to quantise it with
digits_eval.npz          the 450 held-out images and their labels
digits_int8.tflite       the network, int8 with int8 input and output, by TensorFlow
digits_test.npz          the held-out images as that one takes them, and their labels

Nothing is downloaded: the data ship with scikit-learn. Seeds are fixed and TensorFlow runs its
deterministic kernels on one thread, so the same package versions on the same processor type
give the same files.
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernels differ from one processor to the next
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
EPOCHS = 60
TEST_IMAGES = 450
Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def load_split() -> tuple[Images, Images, Labels, Labels]:
    """(training images, test images, training labels, test labels); images [N, 8, 8, 1], 0 to 1."""
    digits = load_digits()
    images = (digits.images[..., np.newaxis] / 16.0).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=SEED
    )
    return train_x, test_x, train_y, test_y


def network(batch: int | None) -> keras.Model:
    """The CNN; `batch` 1 for conversion: a dynamic batch adds SHAPE, STRIDED_SLICE and PACK."""
    layers = keras.layers
    image = keras.Input(batch_shape=(batch, 8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(image)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="spatial_1")(x)
    x = layers.Conv2D(32, 1, activation="relu", name="mix_1")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="spatial_2")(x)
    x = layers.Conv2D(64, 1, activation="relu", name="mix_2")(x)
    x = layers.AveragePooling2D(2, name="average")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, seed=SEED)(x)
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(image, digit, name="digits")


def shifted(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """The images and their copies moved by one pixel in each of four directions, edges empty."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    copies = [padded[:, y : y + 8, x : x + 8] for y, x in moves]
    return np.concatenate(copies), np.tile(labels, len(moves))


def train(images: Images, labels: Labels) -> keras.Model:
    """The trained float network. The number of epochs is fixed: no test image decides anything."""
    model = network(batch=None)
    steps = EPOCHS * -(-len(images) // 32)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=32, epochs=EPOCHS, verbose=0)
    return model


def converter_of(model: keras.Model) -> tf.lite.TFLiteConverter:
    """TensorFlow's converter, for the network with a batch of 1."""
    fixed = network(batch=1)
    fixed.set_weights(model.get_weights())
    return tf.lite.TFLiteConverter.from_keras_model(fixed)


def to_int8(model: keras.Model, calibration: Images) -> bytes:
    """The network as a `.tflite` file: full int8, calibrated on training images."""

    def samples() -> Iterator[list[Images]]:
        for image in calibration:
            yield [image[np.newaxis]]

    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def quantized(images: Images, content: bytes) -> NDArray[np.int8]:
    """Images as the network's input tensor holds them: int8 [N, 8, 8, 1]."""
    scale, zero_point = tf.lite.Interpreter(model_content=content).get_input_details()[0][
        "quantization"
    ]
    return np.clip(np.round(images / scale) + zero_point, -128, 127).astype(np.int8)


def int8_accuracy(content: bytes, images: NDArray[np.int8], labels: Labels) -> float:
    """The share of images that TFLite's interpreter on this machine gets right."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]["index"]
    digit = interpreter.get_output_details()[0]["index"]
    right = 0
    for x, label in zip(images, labels, strict=True):
        interpreter.set_tensor(image, x[np.newaxis])
        interpreter.invoke()
        right += int(np.argmax(interpreter.get_tensor(digit)) == label)
    return right / len(images)


def main(folder: Path) -> None:
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(SEED)

    train_x, test_x, train_y, test_y = load_split()
    model = train(*shifted(train_x, train_y))
    calibration = train_x[:500]
    content = to_int8(model, calibration)
    images = quantized(test_x, content)

    predicted = np.argmax(model.predict(test_x, verbose=0), axis=1)
    float_accuracy = float(np.mean(predicted == test_y))
    as_trained = bytes(converter_of(model).convert())
    (folder / "digits_float.tflite").write_bytes(as_trained)
    (folder / "digits_int8.tflite").write_bytes(content)
    np.savez_compressed(folder / "digits_calibration.npz", image=calibration)
    np.savez_compressed(folder / "digits_eval.npz", image=test_x, labels=test_y.astype(np.uint8))
    np.savez_compressed(
        folder / "digits_test.npz",
        images=images,
        labels=test_y.astype(np.uint8),
        float_accuracy=np.float64(float_accuracy),
    )
    print(f"parameters  {model.count_params()}")
    print(f"float       {float_accuracy:.4f} of {len(test_x)} test images")
    print(f"int8        {int8_accuracy(content, images, test_y):.4f} in TFLite on this machine")
    print(f"wrote       digits_float.tflite ({len(as_trained)} bytes)")
    print(f"wrote       digits_int8.tflite ({len(content)} bytes)")
    print("wrote       digits_calibration.npz, digits_eval.npz, digits_test.npz")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
