"""Keras models in: every format, what is wrong with them, the replay in Keras 2."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quantize import keraskit
from tests.support import require
from tinydeploy.errors import InputError, RequestError
from tinydeploy.quantize import keras as kerasin
from tinydeploy.quantize.compress.replay import to_keras2
from tinydeploy.quantize.frameworks import module

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def keras3() -> Any:
    require("tensorflow")
    return module("keras")


@pytest.fixture(scope="module")
def keras2(keras3: Any) -> Any:  # noqa: ARG001
    return module("tf_keras")


def _answers(content: bytes, images: Any) -> Any:
    require("ptq")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert list(given["shape"]) == [1, 8, 8, 1]
    assert given["dtype"] == made["dtype"] == np.float32
    operators = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not operators & {"SHAPE", "STRIDED_SLICE", "PACK", "VAR_HANDLE", "READ_VARIABLE"}
    answers = []
    for image in images:
        interpreter.set_tensor(given["index"], image[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(made["index"])[0])
    return np.array(answers)


@pytest.mark.parametrize("kind", ["keras3", "keras3.h5", "export", "h5", "keras2", "saved_model"])
def test_every_format_becomes_the_same_float_file(
    kind: str, keras3: Any, keras2: Any, tmp_path: Path
) -> None:
    model = keraskit.shaken(keraskit.network(keras3 if "3" in kind or kind == "export" else keras2))
    path = tmp_path / {"h5": "m.h5", "keras3.h5": "m.h5", "export": "m", "saved_model": "m"}.get(
        kind, "m.keras"
    )
    model.export(path, verbose=False) if kind == "export" else model.save(path)
    assert kerasin.is_keras(path)
    images, _ = keraskit.pictures(8)
    expected = np.asarray(model(images, training=False))
    assert np.abs(_answers(kerasin.to_float_tflite(path), images) - expected).max() < 1e-5


def test_a_replay_computes_the_same(keras3: Any, keras2: Any) -> None:
    la = keras3.layers
    inner = keras3.Sequential(
        [keras3.Input((8, 8, 4)), la.Conv2D(4, 1, name="c"), la.BatchNormalization(name="b")]
    )
    image = keras3.Input((8, 8, 1), name="image")
    x = la.Conv2D(4, 3, padding="same", kernel_regularizer="l2", activation="relu")(image)
    y = inner(inner(x)) + x  # a nested model, called twice; an operation without a layer
    y = la.SeparableConv2D(6, 3, strides=2)(y)
    y = la.GlobalAveragePooling2D()(y)
    model = keraskit.shaken(keras3.Model(image, la.Dense(3, activation="softmax")(y)))
    made = to_keras2(model)
    assert isinstance(made, keras2.Model)
    assert not any(hasattr(layer, "layers") for layer in made.layers)
    images, _ = keraskit.pictures(16)
    assert np.abs(np.asarray(model(images)) - np.asarray(made(images))).max() < 1e-6


def test_a_layer_without_a_counterpart_is_named(keras3: Any) -> None:
    class Odd(keras3.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    image = keras3.Input((8,))
    model = keras3.Model(image, Odd(name="odd_one")(image))
    with pytest.raises(InputError, match="'odd_one' is of class Odd") as error:
        to_keras2(model)
    assert "custom_objects" in error.value.hint


def test_an_activation_that_keras_2_lacks_is_named(keras3: Any) -> None:
    image = keras3.Input((8,))
    model = keras3.Model(image, keras3.layers.Activation("hard_swish", name="act")(image))
    with pytest.raises(InputError, match="'act' has the activation 'hard_silu'") as error:
        to_keras2(model)
    assert "tinydeploy quantize" in error.value.hint


def test_weights_that_are_no_numbers_are_named(keras2: Any, tmp_path: Path) -> None:
    model = keraskit.network(keras2)
    weights = model.get_layer("mix").get_weights()
    weights[0][0, 0, 0, :3] = [np.nan, np.inf, 0]
    model.get_layer("mix").set_weights(weights)
    model.save(tmp_path / "m.h5")
    with pytest.raises(InputError, match="layer 'mix': 2 of 64 values"):
        kerasin.to_float_tflite(tmp_path / "m.h5")
    model.save(tmp_path / "m", save_format="tf")
    with pytest.raises(InputError, match="2 of 64 values"):
        kerasin.to_float_tflite(tmp_path / "m")


_CLASSES = """
import {library}

class Twice({library}.layers.Layer):
    def call(self, x):
        return x * 2.0

def classes():
    return {{"Twice": Twice}}

def wrong():
    return 3
"""


@pytest.mark.parametrize(("library", "suffix"), [("keras", ".keras"), ("tf_keras", ".h5")])
def test_custom_layers_are_registered(
    library: str, suffix: str, keras3: Any, keras2: Any, tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(_CLASSES.format(library=library))
    made = kerasin.read_custom_objects(f"{code}:classes")["Twice"]
    kit = keras3 if library == "keras" else keras2
    image = kit.Input((8, 8, 1), name="image")
    model = kit.Model(image, made(name="twice")(image))
    path = tmp_path / f"m{suffix}"
    model.save(path)
    with pytest.raises(InputError, match=r"of class '\w*>?Twice'") as error:
        kerasin.to_float_tflite(path)
    assert "custom_objects = 'file.py:function'" in error.value.hint
    images, _ = keraskit.pictures(2)
    content = kerasin.to_float_tflite(path, f"{code}:classes")
    assert np.allclose(_answers(content, images), 2 * images)
    with pytest.raises(InputError, match="returns no dict"):
        kerasin.to_float_tflite(path, f"{code}:wrong")
    with pytest.raises(InputError, match="does not exist"):
        kerasin.to_float_tflite(path, f"{tmp_path / 'no.py'}:classes")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_is_never_run(suffix: str, keras2: Any, tmp_path: Path) -> None:
    image = keras2.Input((8, 8, 1))
    layer = keras2.layers.Lambda(lambda x: x + 1, name="anything")
    keras2.Model(image, layer(image)).save(tmp_path / f"m{suffix}")
    with pytest.raises(InputError, match=r"Lambda layer \('anything'\)"):
        kerasin.to_float_tflite(tmp_path / f"m{suffix}")


def test_what_is_no_model_is_refused(keras2: Any, tmp_path: Path) -> None:
    import h5py

    def refused(path: Path, told: str) -> None:
        with pytest.raises(InputError, match=told):
            kerasin.to_float_tflite(path)

    for name in ("a.keras", "a.h5"):
        refused(tmp_path / name, "does not exist")
        (tmp_path / name).write_bytes(b"not a model")
    refused(tmp_path / "a.keras", "no .keras archive")
    refused(tmp_path / "a.h5", "no HDF5 file")
    deep = "[" * 50_000
    for config, told in ((deep, "no .keras archive"), (" " * (1 << 27), "at most 67108864")):
        with zipfile.ZipFile(tmp_path / "deep.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.1"}')
            archive.writestr("config.json", config)
        refused(tmp_path / "deep.keras", told)
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = b"2.15", deep
    refused(tmp_path / "deep.h5", "its configuration is no JSON")
    refused(tmp_path, "no saved_model.pb")
    (tmp_path / "a.txt").write_text("")
    refused(tmp_path / "a.txt", "no Keras model by its name")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "7.1.0"}))
        archive.writestr("config.json", "{}")
    refused(tmp_path / "b.keras", "written by Keras '7.1.0'; 2 and 3")
    model = keraskit.network(keras2)
    model.save_weights(tmp_path / "w.h5")
    refused(tmp_path / "w.h5", "weights without the network")


def test_an_unknown_size_is_refused(keras2: Any, tmp_path: Path) -> None:
    image = keras2.Input((None, None, 1), name="image")
    made = keras2.layers.GlobalAveragePooling2D()(keras2.layers.Conv2D(2, 3)(image))
    keras2.Model(image, made).save(tmp_path / "m.h5")
    with pytest.raises(InputError, match="only the batch may be unknown"):
        kerasin.to_float_tflite(tmp_path / "m.h5")


def test_an_operator_that_tflite_lacks_is_named(keras3: Any, tmp_path: Path) -> None:
    image = keras3.Input((4, 4), name="image")
    made = keras3.ops.cholesky(image)
    keras3.Model(image, made).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match="Cholesky") as error:
        kerasin.to_float_tflite(tmp_path / "m.keras")
    assert "TFLite does not have" in error.value.message


@pytest.mark.parametrize("name", ["ic_float.h5", "sww_float.h5"])
def test_real_models_become_float_files(name: str, models: Path, keras3: Any) -> None:  # noqa: ARG001
    assert len(kerasin.to_float_tflite(models / name)) > 100_000


def test_sww_agrees_with_the_published_file(models: Path, tmp_path: Path) -> None:
    require("tensorflow", "ptq", "oracle")
    from tinydeploy.quantize import calibrate, ptq
    from tinydeploy.quantize.data import load
    from tinydeploy.quantize.subject import open_subject

    content = kerasin.to_float_tflite(models / "sww_float.h5")
    data = load(str(models / "sww_calibration.npz"))
    made = tmp_path / "sww.tflite"
    made.write_bytes(ptq.quantize(content, calibrate.calibrate(content, data)))
    subjects = [open_subject(path) for path in (made, models / "sww_int8.tflite")]
    same = total = 0
    for sample in data:
        answers = []
        for subject in subjects:
            port = subject.inputs[0]
            value = sample.inputs[0].reshape(port.shape).astype(np.float32)
            answers.append(int(np.argmax(subject.run([port.stored(value)])[0])))
        same += answers[0] == answers[1]
        total += 1
    assert same / total >= 0.99


def test_what_is_missing_is_named() -> None:
    with pytest.raises(RequestError, match="is not installed") as error:
        module("tensorflow_that_is_not_there")
    assert "tinydeploy[train]" in error.value.hint
