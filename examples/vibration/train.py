"""Trains an autoencoder that hears when a machine does not sound as it should.

    python -m venv .venv && .venv/bin/pip install 'tensorflow>=2.21,<2.22'
    .venv/bin/python examples/vibration/train.py

vibration_float.tflite      the network as it was trained, batch 1
vibration_calibration.npz   spectra of the sound machine, to quantise it with
vibration_eval.npz          spectra of the sound and the faulty machine; label 1 is a fault

Nothing is downloaded: the vibrations are made here. Seeds are fixed and TensorFlow runs its
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

SEED = 20
EPOCHS = 60
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

BATCH = 32
RATE_HZ = 8000
SAMPLES = 1024
BANDS = 64
# Decibels that are 0 and 1 for the network.
QUIET_DB, LOUD_DB = -70.0, 10.0
# (revolutions a second, loudness of the gear, noise) of each state that is as it should be.
STATES = {"idle": (15.0, 0.05, 0.02), "half load": (25.0, 0.25, 0.05), "full": (29.0, 0.5, 0.1)}
FAULTS = ("imbalance", "bearing", "looseness", "gear")
TEETH = 17
BEARING_RATIO = 5.4  # impacts a revolution, of a ball over a damaged outer ring


def vibration(rng: np.random.Generator, state: str, fault: str | None) -> Floats:
    """An acceleration, [SAMPLES]: the shaft, its gear, a resonance of the housing, and noise."""
    speed, gear, noise = STATES[state]
    turn = speed * rng.uniform(0.96, 1.04)
    t = np.arange(SAMPLES) / RATE_HZ + rng.uniform(0, 1)
    severity = rng.uniform(0.5, 1.5)
    shaft = rng.uniform(0.15, 0.3) * (4 * severity if fault == "imbalance" else 1)
    x = shaft * np.sin(2 * np.pi * turn * t + rng.uniform(0, 6.28))
    mesh = gear * rng.uniform(0.8, 1.2)
    for harmonic, share in ((1, 1.0), (2, 0.4), (3, 0.15)):
        phase = rng.uniform(0, 6.28)
        swing = 0.6 * severity * np.sin(2 * np.pi * turn * t) if fault == "gear" else 0.0
        x += mesh * share * (1 + swing) * np.sin(2 * np.pi * harmonic * TEETH * turn * t + phase)
    if fault == "gear":
        x += 0.1 * severity * np.sin(2 * np.pi * (TEETH + 0.5) * 2.5 * turn * t)
    if fault == "looseness":
        for half in (0.5, 1.5, 2.5, 3.5, 4.5):
            x += 0.12 * severity * np.sin(2 * np.pi * half * turn * t + rng.uniform(0, 6.28))
        x += 0.08 * severity * np.abs(np.sin(2 * np.pi * turn * t)) * rng.normal(size=SAMPLES)
    if fault == "bearing":
        since = np.mod(t * turn * BEARING_RATIO, 1.0) / (turn * BEARING_RATIO)
        x += 0.5 * severity * np.exp(-400 * since) * np.sin(2 * np.pi * 2900 * since)
    white = rng.normal(size=SAMPLES + 2)
    x += noise * rng.uniform(0.7, 1.4) * (white[2:] + 0.7 * white[1:-1] + 0.3 * white[:-2])
    return x.astype(np.float32)


def spectrum(x: Floats) -> Floats:
    """[BANDS]: the power in bands of equal width, 0 to 4 kHz, in decibels from 0 to 1."""
    power = np.abs(np.fft.rfft(x * np.hanning(SAMPLES)))[1:] ** 2 / SAMPLES
    bands = power.reshape(BANDS, -1).mean(axis=1)
    decibels = 10 * np.log10(bands + 1e-9)
    clipped: Floats = np.clip((decibels - QUIET_DB) / (LOUD_DB - QUIET_DB), 0, 1)
    return clipped.astype(np.float32)


def spectra(rng: np.random.Generator, count: int, *, faulty: bool) -> Floats:
    """[count, BANDS], all states alike and all faults alike."""
    states, made = list(STATES), []
    for number in range(count):
        fault = FAULTS[number // len(states) % len(FAULTS)] if faulty else None
        made.append(spectrum(vibration(rng, states[number % len(states)], fault)))
    return np.stack(made)


def network(batch: int | None) -> keras.Model:
    """It has learned to repeat what it knows: what it repeats badly is new to it."""
    layers = keras.layers
    sound = keras.Input(batch_shape=(batch, BANDS), name="spectrum")
    x = layers.Dense(32, activation="relu", name="narrow")(sound)
    x = layers.Dense(6, activation="relu", name="code")(x)
    x = layers.Dense(32, activation="relu", name="wide")(x)
    again = layers.Dense(BANDS, name="again")(x)
    return keras.Model(sound, again, name="vibration")


def train(x: Floats, epochs: int) -> keras.Model:
    """The trained float network; it never saw a fault."""
    model = network(batch=None)
    steps = epochs * -(-len(x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss="mse")
    model.fit(x, x, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def auc(scores: Floats, labels: Labels) -> float:
    """How often a faulty one scores higher than a sound one."""
    order = np.argsort(scores)
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    faulty = int(labels.sum())
    wins = ranks[labels == 1].sum() - faulty * (faulty + 1) / 2
    return float(wins / (faulty * (len(labels) - faulty)))


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
    rng = np.random.default_rng(SEED)
    training = spectra(rng, 3000, faulty=False)
    test = np.concatenate([spectra(rng, 300, faulty=False), spectra(rng, 300, faulty=True)])
    labels = np.repeat(np.array([0, 1], np.int64), 300)
    model = train(training, chosen.epochs)
    errors = np.mean((model.predict(test, verbose=0) - test) ** 2, axis=1)

    content = to_tflite(model)
    (chosen.out / "vibration_float.tflite").write_bytes(content)
    np.savez_compressed(chosen.out / "vibration_calibration.npz", spectrum=training[:500])
    np.savez_compressed(
        chosen.out / "vibration_eval.npz", spectrum=test, labels=labels.astype(np.uint8)
    )
    print(f"parameters  {model.count_params()}")
    print(f"float       AUC {auc(errors, labels):.4f} of {len(test)} test spectra")
    for number, fault in enumerate(FAULTS):
        of_fault = errors[300:][np.arange(300) // len(STATES) % len(FAULTS) == number]
        both = np.concatenate([errors[:300], of_fault])
        kinds = np.repeat(np.array([0, 1], np.int64), [300, len(of_fault)])
        print(f"            AUC {auc(both, kinds):.4f} {fault}")
    print(f"wrote       vibration_float.tflite ({len(content)} bytes)")
    print("wrote       vibration_calibration.npz, vibration_eval.npz")


if __name__ == "__main__":
    main()
