"""TensorFlow and its companions, imported when they are needed and quietly."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import RequestError

TRAIN = "pip install 'tinydeploy[train]'"


def module(name: str, extra: str = TRAIN) -> Any:
    """An optional package.

    Args:
        name: As it is imported.
        extra: What to type where it is missing.

    Raises:
        RequestError: It is not installed, cannot be imported, or memory ran out.
    """
    # Its kernels differ from one processor to the next, ours to reproduce do not.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with native_silence():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top = name.partition(".")[0]
        package = _PACKAGES.get(top, top)
        raise RequestError(f"{package} is not installed", extra) from error
    except ImportError as error:
        raise RequestError(f"{name} cannot be imported: {error}", extra) from error
    except (MemoryError, SystemError) as error:  # what a library says that could not be mapped
        raise RequestError(f"memory ran out while {name} was loaded") from error


_PACKAGES = {
    "ai_edge_litert": "LiteRT",
    "ai_edge_quantizer": "AI Edge Quantizer",
    "h5py": "TensorFlow, with h5py,",
    "tensorflow": "TensorFlow",
    "keras": "Keras 3",
    "tf_keras": "tf_keras (Keras 2)",
    "tensorflow_model_optimization": "TensorFlow Model Optimization",
}


def tensorflow() -> Any:
    """TensorFlow, which logs no more than errors."""
    tf = module("tensorflow")
    tf.get_logger().setLevel("ERROR")
    return tf


def tf_keras() -> Any:
    """Keras 2, the one that TensorFlow Model Optimization takes."""
    tensorflow()
    return module("tf_keras")


def tfmot() -> Any:
    """TensorFlow Model Optimization."""
    tf_keras()
    return module("tensorflow_model_optimization")


def first_line(error: BaseException, limit: int = 240) -> str:
    """What an exception says, for the inside of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return (text if len(text) <= limit else text[: limit - 3] + "...").rstrip(".")


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, in Python or in TensorFlow."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


@contextmanager
def native_silence() -> Iterator[None]:
    """Keeps what C++ libraries write to standard error (start-up notes, converter banners) away."""
    try:
        kept = os.dup(2)
    except OSError:  # closed: nobody would see it
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
