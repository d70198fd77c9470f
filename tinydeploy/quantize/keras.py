"""Keras models in: Keras 3 `.keras`, Keras 2 `.h5`, SavedModel; out as float `.tflite`."""

from __future__ import annotations

import importlib.util
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from ..errors import InputError, RequestError
from .frameworks import first_line, module, native_silence, out_of_memory, tensorflow, tf_keras

_SUFFIXES = (".keras", ".h5", ".hdf5")
_MOST_CONFIG_BYTES = 1 << 26  # MobileNet's has 100 KB
_NO_ARCHIVE = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, RecursionError)
_CUSTOM_HINT = (
    "register its classes: custom_objects = 'file.py:function' (a function that returns a dict "
    "of name -> class); --custom-objects on the command line"
)


def is_keras(path: Path) -> bool:
    """Whether a path is meant as a Keras model: by its suffix, or a SavedModel's folder."""
    return path.suffix.lower() in _SUFFIXES or path.is_dir()


def to_float_tflite(path: Path, custom_objects: str | None = None) -> bytes:
    """A Keras model as a float `.tflite`: batch 1, float32 inputs and outputs.

    Args:
        path: `.keras`, `.h5`, or a SavedModel's folder.
        custom_objects: "file.py:function"; the function returns the model's own classes by name.

    Raises:
        InputError: The file is damaged, has layers that cannot be made or converted, weights that
            are no numbers, or dimensions other than the batch that are not known.
        RequestError: TensorFlow is missing, or memory ran out.
    """
    _exists(path)
    if path.is_dir():
        return _convert_saved_model(path)
    return to_tflite(load(path, custom_objects), str(path))


def load(path: Path, custom_objects: str | None = None) -> Any:
    """A Keras model, not compiled: `keras.Model` or, for Keras 2, `tf_keras.Model`.

    Args:
        path: `.keras`, `.h5`, or a SavedModel's folder that Keras 2 saved.
        custom_objects: "file.py:function", see `to_float_tflite()`.

    Raises:
        InputError, RequestError: As `to_float_tflite()`.
    """
    _exists(path)
    if path.is_dir():
        _refuse_lambda(path, _saved_model_configs(path))
        which = 2
    elif path.suffix.lower() == ".keras":
        which = _archive_version(path)
    else:
        which = _h5_version(path)
    tensorflow()  # first: its log settings hold for all
    library = tf_keras() if which == 2 else module("keras")
    classes = read_custom_objects(custom_objects) if custom_objects else {}
    try:
        with native_silence(), library.utils.custom_object_scope(classes):
            model = library.models.load_model(path, compile=False)
    except Exception as error:
        raise _load_error(path, error) from error
    if not hasattr(model, "layers"):
        raise InputError(f"{path} holds no Keras model", "save it with model.save('model.keras')")
    check_weights(model, str(path))
    return model


def to_tflite(model: Any, name: str, **options: Any) -> bytes:
    """A model in memory as `.tflite`, batch 1.

    Args:
        model: A functional or sequential model of Keras 2 or 3.
        name: What to call it in errors.
        **options: Attributes of `tf.lite.TFLiteConverter`; none for a float file.

    Raises:
        InputError, RequestError: As `to_float_tflite()`.
    """
    tf = tensorflow()
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise InputError(
            f"{name} does not know the shape of its input",
            "build it: model.build((None, height, width, channels)), then save it again",
        )
    names = [_input_name(tensor.name) for tensor in inputs]
    specs = {
        n: tf.TensorSpec(_static(t.shape, n, name), t.dtype, name=n)
        for n, t in zip(names, inputs, strict=True)
    }
    holder = tf.Module()  # what it holds is frozen into the file
    holder.held = [getattr(v, "value", v) if _is_keras3(v) else v for v in model.variables]

    def serve(**given: Any) -> Any:
        values = [given[n] for n in names]
        answer = model(values if len(values) > 1 else values[0], training=False)
        answers = _flat(answer)
        return dict(zip(_output_names(model, len(answers)), answers, strict=True))

    return _convert(tf.function(serve).get_concrete_function(**specs), holder, name, options)


def check_weights(model: Any, name: str) -> None:
    """Refuses a model with weights that are no numbers, naming the first such layer.

    Raises:
        InputError: There are NaN or infinite weights.
    """
    for layer in flat_layers(model):
        for weight in layer.weights:
            _check_weight(f"{name}: layer {layer.name!r}", weight.name, np.asarray(weight))


def flat_layers(model: Any) -> Iterator[Any]:
    """All layers, those of nested models instead of the models."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from flat_layers(layer)
        else:
            yield layer


def read_custom_objects(spec: str) -> Mapping[str, Any]:
    """What `file.py:function` returns: the user's classes by name.

    Raises:
        InputError: There is no such file or function, or it returns something else.
    """
    file, _, function = spec.rpartition(":")
    path = Path(file)
    if not file or not function.isidentifier():
        raise InputError(f"custom_objects is {spec!r}", "custom_objects = 'file.py:function'")
    if not path.is_file():
        raise InputError(f"custom_objects: {path} does not exist")
    try:
        found = importlib.util.spec_from_file_location(f"_custom_{path.stem}", path)
        if found is None or found.loader is None:
            raise InputError(f"custom_objects: {path} is not a Python file")
        code = importlib.util.module_from_spec(found)
        found.loader.exec_module(code)
        classes = getattr(code, function)()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"custom_objects: {spec} failed: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(classes, Mapping) or not all(isinstance(k, str) for k in classes):
        raise InputError(f"custom_objects: {spec} returns no dict of name -> class")
    return classes


def _exists(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist", f"ls {quote(str(path.parent))}")
    if not path.is_dir() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is not a regular file")
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise InputError(f"the folder {path} holds no saved_model.pb", "give a SavedModel's folder")
    if path.is_file() and path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"{path} is no Keras model by its name", "known: .keras, .h5, a SavedModel's folder"
        )


def _archive_version(path: Path) -> int:
    """The major version of Keras that wrote a `.keras` archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            metadata, config = (_member(archive, name) for name in ("metadata.json", "config.json"))
    except _NO_ARCHIVE as error:
        raise InputError(f"{path} is no .keras archive: {first_line(error)}") from error
    _refuse_lambda(path, [config])
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return _major(path, version)


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    size_bytes = archive.getinfo(name).file_size
    if size_bytes > _MOST_CONFIG_BYTES:
        raise ValueError(f"{name} has {size_bytes} bytes, at most {_MOST_CONFIG_BYTES} are read")
    return json.loads(archive.read(name))


def _h5_version(path: Path) -> int:
    """The major version of Keras that wrote an HDF5 file."""
    h5py = module("h5py")
    try:
        with h5py.File(path, "r") as file:
            version, config = file.attrs.get("keras_version"), file.attrs.get("model_config")
    except OSError as error:
        raise InputError(f"{path} is no HDF5 file: {first_line(error)}") from error
    if config is None:
        raise InputError(
            f"{path} holds weights without the network",
            "save both: model.save('model.keras'), not save_weights()",
        )
    try:
        _refuse_lambda(path, [json.loads(config)])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: its configuration is no JSON") from error
    return _major(path, version)


def _major(path: Path, version: Any) -> int:
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    major = re.match(r"(\d+)\.", text)
    if major is None or int(major[1]) not in (2, 3):
        shown = "no version of Keras" if version is None else f"Keras {text[:40]!r}"
        raise InputError(
            f"{path} was written by {shown}; 2 and 3 can be read",
            "load it where it was made and save it again: model.save('model.keras')",
        )
    return int(major[1])


def _saved_model_configs(path: Path) -> list[Any]:
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        raise InputError(
            f"{path} is a SavedModel without Keras layers, so it can be quantised but not trained",
            "save the model as model.keras",
        )
    found = re.findall(rb'"class_name"\s*:\s*"Lambda"', metadata.read_bytes())
    return [{"class_name": "Lambda", "config": {"name": "?"}}] if found else []


def _refuse_lambda(path: Path, configs: Sequence[Any]) -> None:
    """A Lambda layer's function is code inside the file, which loading would run."""
    pending = list(configs)
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if item.get("class_name") == "Lambda":
                name = (item.get("config") or {}).get("name", "?")
                raise InputError(
                    f"{path} has a Lambda layer ({name!r}): code inside the file that would run",
                    f"replace it by a layer class of your own, then {_CUSTOM_HINT}",
                )
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _load_error(path: Path, error: Exception) -> Exception:
    if isinstance(error, InputError | RequestError):
        return error
    if out_of_memory(error):
        return RequestError(f"memory ran out while loading {path}")
    text = str(error)
    unknown = re.search(r"Unknown \w+: '?([\w.>:]+)|Could not locate class '?([\w.>:]+)", text)
    if unknown:
        name = unknown[1] or unknown[2]
        return InputError(f"{path} has a layer of class {name!r}, not one of Keras's", _CUSTOM_HINT)
    return InputError(f"{path} cannot be loaded: {first_line(error)}")


def _convert_saved_model(path: Path) -> bytes:
    tf = tensorflow()
    try:
        with native_silence():
            loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise _load_error(path, error) from error
    signatures = loaded.signatures
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if name is None:
        raise InputError(
            f"{path} has no signature to call", "write it with model.export() or model.save()"
        )
    signature = signatures[name]
    for variable in signature.variables:
        if variable.dtype.is_floating:
            _check_weight(str(path), variable.name, variable.numpy())
    specs = {
        key: tf.TensorSpec(_static(spec.shape, key, str(path)), spec.dtype, name=key)
        for key, spec in signature.structured_input_signature[1].items()
    }
    holder = tf.Module()
    holder.held = loaded
    fixed = tf.function(lambda **given: signature(**given)).get_concrete_function(**specs)
    return _convert(fixed, holder, str(path), {})


def _convert(function: Any, holder: Any, name: str, options: Mapping[str, Any]) -> bytes:
    tf = tensorflow()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    for option, value in options.items():
        owner, _, attribute = option.rpartition(".")
        setattr(getattr(converter, owner) if owner else converter, attribute, value)
    try:
        with native_silence():
            return bytes(converter.convert())
    except Exception as error:
        if out_of_memory(error):
            raise RequestError(f"memory ran out while converting {name}") from error
        text = str(error)
        operators = sorted(set(re.findall(r"'?tf\.(\w+)'? op is neither", text)))
        if operators:
            where = re.search(r'fused\["\w+:", "([^"@]+)', text)
            layer = f" (layer {where[1]!r})" if where else ""
            raise InputError(
                f"{name} needs {', '.join(operators)}{layer}, which TFLite does not have",
                "replace that layer by ones of convolutions, dense layers, pooling and ReLU",
            ) from error
        raise InputError(f"{name} cannot be converted: {first_line(error)}") from error


def _check_weight(where: str, weight: str, values: Any) -> None:
    if not np.issubdtype(values.dtype, np.floating):
        return
    wrong = int(values.size - np.count_nonzero(np.isfinite(values)))
    if wrong:
        raise InputError(
            f"{where}: {wrong} of {values.size} values of {weight!r} are NaN or infinite",
            "the training went wrong: lower the learning rate, or save an earlier epoch",
        )


def _static(shape: Any, tensor: str, name: str) -> tuple[int, ...]:
    """The shape with batch 1."""
    sizes = list(shape) if getattr(shape, "rank", len(shape or ())) is not None else []
    if not sizes or any(size is None for size in sizes[1:]):
        raise InputError(
            f"the input {tensor!r} of {name} has the shape {sizes or 'unknown'}; "
            "only the batch may be unknown",
            "give the network an input of a fixed size: keras.Input((height, width, channels))",
        )
    return (1, *(int(size) for size in sizes[1:]))


def _input_name(name: str) -> str:
    return re.sub(r"\W", "_", name.split(":")[0])


def _output_names(model: Any, count: int) -> list[str]:
    names = [_input_name(str(n)) for n in getattr(model, "output_names", None) or []]
    if len(names) != count or len(set(names)) != count:
        names = [f"output_{i}" for i in range(count)]
    return names


def _flat(answer: Any) -> list[Any]:
    if isinstance(answer, Mapping):
        return [value for key in answer for value in _flat(answer[key])]
    if isinstance(answer, list | tuple):
        return [value for item in answer for value in _flat(item)]
    return [answer]


def _is_keras3(variable: Any) -> bool:
    return type(variable).__module__.startswith("keras.")
