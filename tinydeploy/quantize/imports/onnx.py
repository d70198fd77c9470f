"""ONNX models in, by onnx2tf, which turns channels-first into channels-last."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import process
from ...errors import InputError, RequestError
from ...graph import Array
from ...tflite.tensors import printable
from ..floatrun import Runner
from ..frameworks import first_line, module
from . import Imported, Shapes
from .layout import relaid

EXTRA = "pip install 'tinydeploy[onnx]'"
_TIME_LIMIT_S = 900.0
# onnx2tf looks for this file where it runs, and downloads it where it is not there. Its answers to
# these images are only compared with ONNX Runtime's.
_IMAGES = "calibration_image_sample_data_20x128x128x3_float32.npy"
_SHAPE_HINT = "--input-shape {name}=1,3,224,224"
_TOLERANCE = 1e-3


def convert(path: Path, shapes: Shapes) -> Imported:
    """An ONNX model as a float `.tflite` file, its answers compared with ONNX Runtime's.

    Raises:
        InputError: It is damaged, dynamic, or has operators that onnx2tf does not know.
        RequestError: A package is missing, or onnx2tf took too long.
    """
    onnx = module("onnx", EXTRA)
    converter = Path(module("onnx2tf", EXTRA).__file__).parent
    model = _read(onnx, path)
    _check_operators(model, converter, path)
    _fix_shapes(onnx, model, shapes, path)
    with tempfile.TemporaryDirectory(prefix="tinydeploy-onnx-") as folder:
        content = _run(onnx, model, Path(folder), path)
    return Imported(content, _compared(model, content))


def _read(onnx: Any, path: Path) -> Any:
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's own
        raise InputError(f"{path} is no sound ONNX model: {first_line(error)}") from error
    return model


def _check_operators(model: Any, converter: Path, path: Path) -> None:
    """onnx2tf has a file for each operator that it knows."""
    own = {function.name for function in model.functions}
    for index, node in enumerate(model.graph.node):
        known = (converter / "ops" / f"{node.op_type}.py").is_file()
        if not known or node.domain not in ("", "ai.onnx") or node.op_type in own:
            name = node.name or (node.output[0] if node.output else "")
            domain = f" of {node.domain}" if node.domain else ""
            raise InputError(
                f"{path}: layer {index} {printable(name, 60)} is {node.op_type}{domain}, which "
                "onnx2tf does not convert",
                "replace that layer by ones of convolutions, dense layers, pooling and ReLU",
            )


def _inputs(model: Any) -> list[Any]:
    """Those that are no weights."""
    weights = {w.name for w in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in weights]


def _fix_shapes(onnx: Any, model: Any, shapes: Shapes, path: Path) -> None:
    """Every input gets its fixed shape; a batch that is left open is 1."""
    inputs = _inputs(model)
    names = [i.name for i in inputs]
    wanted = {names[0] if not name and names else name: s for name, s in shapes.items()}
    if "" in shapes and len(names) > 1:
        raise InputError(
            f"{path} has {len(names)} inputs: {', '.join(names)}",
            f"--input-shape '{names[0]}=…;{names[1]}=…'",
        )
    if unknown := sorted(set(wanted) - set(names)):
        raise InputError(f"{path} has no input {unknown[0]!r}", f"its inputs: {', '.join(names)}")
    for given in inputs:
        dims = given.type.tensor_type.shape.dim
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in dims]
        if given.name in wanted:
            shape = wanted[given.name]
            if len(shape) != len(sizes) or any(s not in (0, w) for s, w in zip(sizes, shape)):  # noqa: B905
                raise InputError(
                    f"{path}: input {given.name!r} is {_shown(dims)}, not {list(shape)}"
                )
            sizes = list(shape)
        elif sizes and not sizes[0]:
            sizes[0] = 1
        if not sizes or min(sizes) < 1:
            raise InputError(
                f"{path}: input {given.name!r} has the shape {_shown(dims)}, which is not fixed",
                _SHAPE_HINT.format(name=given.name),
            )
        if sizes[0] != 1:
            raise InputError(
                f"{path}: input {given.name!r} has a batch of {sizes[0]}, needs 1",
                "export the model with a batch of 1",
            )
        for dim, size in zip(dims, sizes, strict=True):
            dim.dim_value = size
    # What was inferred for open shapes is inferred again.
    del model.graph.value_info[:]
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.Clear()
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model))
    except Exception as error:
        raise InputError(f"{path}: its shapes do not fit: {first_line(error)}") from error


def _shown(dims: Any) -> str:
    sizes = (str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in dims)
    return "[" + ", ".join(sizes) + "]"


def _run(onnx: Any, model: Any, folder: Path, path: Path) -> bytes:
    onnx.save(model, str(folder / "model.onnx"))
    rng = np.random.default_rng(0)
    np.save(folder / _IMAGES, rng.random((20, 128, 128, 3), np.float32))
    argv = [sys.executable, "-m", "onnx2tf", "-i", "model.onnx", "-o", "out", "-b", "1", "-n"]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "NO_COLOR": "1"}
    result = process.run(argv, timeout_s=_TIME_LIMIT_S, cwd=folder, env={**os.environ, **quiet})
    made = folder / "out" / "model_float32.tflite"
    if not made.is_file():
        raise _failure(path, result.stdout + "\n" + result.stderr)
    return made.read_bytes()


def _failure(path: Path, output: str) -> Exception:
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    if "MemoryError" in text or "ResourceExhausted" in text:
        return RequestError(f"memory ran out while converting {path}")
    layer = re.findall(r"onnx_op_name:\s*(\S.*)", text)
    errors = re.findall(r"^(?:ERROR:\s*)?(\w*(?:Error|Exception): .+)$", text, re.MULTILINE)
    reason = errors[-1] if errors else "it left no file"
    where = f" at the layer {printable(layer[-1].strip(), 60)}" if layer else ""
    return InputError(
        f"onnx2tf cannot convert {path}{where}: {first_line(ValueError(reason))}",
        "simplify the model first: pip install onnxsim && onnxsim model.onnx simple.onnx",
    )


def _compared(model: Any, content: bytes) -> tuple[str, ...]:
    """What the user must know of how its answers differ from ONNX Runtime's to one random input.

    Channels are moved as onnx2tf moves them: second to last.
    """
    runtime = module("onnxruntime", EXTRA)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    runner = Runner(content)
    inputs, rng = _inputs(model), np.random.default_rng(0)
    values = {}
    for given, port in zip(inputs, session.get_inputs(), strict=True):
        if port.type != "tensor(float)":
            return ()
        values[given.name] = rng.random(port.shape, np.float32)
    expected = session.run(None, values)
    feed = [_moved_to(v, p.shape) for v, p in zip(values.values(), runner.inputs, strict=False)]
    if len(feed) != len(runner.inputs) or any(v is None for v in feed):
        return ("its answers could not be compared with ONNX Runtime's: its inputs changed",)
    found = runner.run([v for v in feed if v is not None])
    notes = _relaid("input", values, values.values(), [p.shape for p in runner.inputs])
    names = [o.name for o in session.get_outputs()]
    notes += _relaid("output", names, expected, [a.shape for a in found])
    worst = _worst(expected, found)
    if worst is None:
        return (
            *notes,
            "its answers could not be compared with ONNX Runtime's: its outputs changed",
        )
    if worst > _TOLERANCE:
        return (
            *notes,
            f"its answers differ from ONNX Runtime's by up to {worst:.3g} of their range: onnx2tf "
            "did not convert it faithfully",
        )
    return notes


def _relaid(
    end: str, names: Iterable[str], values: Iterable[Array], shapes: Sequence[Sequence[int]]
) -> tuple[str, ...]:
    notes: list[str] = []
    for name, value, shape in zip(names, values, shapes, strict=False):
        if value.shape != tuple(shape):
            notes += relaid(end, name, value.shape, (0, *range(2, value.ndim), 1))
    return tuple(notes)


def _moved_to(value: Array, shape: Sequence[int]) -> Array | None:
    """`value` in the layout of `shape`: its own, or channels last."""
    if value.shape == tuple(shape):
        return value
    last = np.moveaxis(value, 1, -1)
    return np.ascontiguousarray(last) if last.shape == tuple(shape) else None


def _worst(expected: Sequence[Array], found: Sequence[Array]) -> float | None:
    """The largest difference, as a share of an output's range; None where shapes do not fit."""
    if len(expected) != len(found):
        return None
    worst = 0.0
    for wanted, made in zip(expected, found, strict=True):
        moved = _moved_to(wanted, made.shape)
        if moved is None:
            return None
        reach = max(float(np.abs(wanted).max()), 1e-6)
        worst = max(worst, float(np.abs(moved - made).max()) / reach)
    return worst
