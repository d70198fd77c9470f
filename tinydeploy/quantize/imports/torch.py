"""PyTorch models in, by litert-torch: exported programs, or a module that a function returns."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, RequestError
from ..floatrun import Runner
from ..frameworks import first_line, module, native_silence
from . import Imported, Shapes

EXTRA = "pip install 'tinydeploy[torch]'"
_EXPORT = "torch.export.save(torch.export.export(net.eval(), (example,)), 'model.pt2')"
_TOLERANCE = 1e-3


def convert_file(path: Path) -> Imported:
    """What `torch.export.save` wrote, as a float `.tflite` file.

    Raises:
        InputError: It is damaged, dynamic, a pickle, or has operators that cannot be converted.
        RequestError: A package is missing, or memory ran out.
    """
    if path.suffix.lower() != ".pt2":
        raise InputError(
            f"{path} is a pickle: code that would run, or weights without their network",
            f"{_EXPORT}, or give file.py:function, which returns the module",
        )
    torch = module("torch", EXTRA)
    try:
        with _silence():
            program = torch.export.load(str(path))
    except Exception as error:
        raise InputError(f"{path} is no exported program: {first_line(error)}", _EXPORT) from error
    _check_static(torch, program, str(path))
    example = program.example_inputs
    if example is None or example[1]:
        raise InputError(f"{path} takes inputs by name or has no example of them", _EXPORT)
    return _convert(torch, program.module(), tuple(example[0]), str(path))


def convert_function(file: Path, function: str, shapes: Shapes) -> Imported:
    """A module that a function of the user's returns, alone or with a tuple of example inputs.

    Raises:
        InputError: The function fails, returns something else, or the module cannot be converted.
        RequestError: A package is missing, or memory ran out.
    """
    torch = module("torch", EXTRA)
    spec = f"{file}:{function}"
    returned = _call(file, function, spec)
    network, example = returned if isinstance(returned, tuple) else (returned, None)
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            f"{spec} returns {type(network).__name__}, needs a torch.nn.Module",
            "return net, or net and its example inputs: return net, (torch.zeros(1, 3, 32, 32),)",
        )
    if shapes:
        example = tuple(torch.zeros(shape) for shape in shapes.values())
    if example is None:
        raise InputError(
            f"{spec} does not say what its module takes",
            "--input-shape 1,3,32,32, or let it return (net, (torch.zeros(1, 3, 32, 32),))",
        )
    inputs = tuple(example) if isinstance(example, tuple | list) else (example,)
    return _convert(torch, network.eval(), inputs, spec)


def _call(file: Path, function: str, spec: str) -> Any:
    try:
        found = importlib.util.spec_from_file_location(f"_import_{file.stem}", file)
        if found is None or found.loader is None:
            raise InputError(f"{file} is not a Python file")
        code = importlib.util.module_from_spec(found)
        found.loader.exec_module(code)
        return getattr(code, function)()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{spec} failed: {type(error).__name__}: {first_line(error)}") from error


def _check_static(torch: Any, program: Any, name: str) -> None:
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op != "placeholder" or not hasattr(value, "shape"):
            continue
        if any(not isinstance(size, int) for size in value.shape):
            shape = "[" + ", ".join(map(str, value.shape)) + "]"
            raise InputError(
                f"{name}: input {node.name!r} has the shape {shape}, which is not fixed",
                "export it without dynamic_shapes, or give file.py:function and "
                "--input-shape 1,3,224,224",
            )
    del torch


def _convert(torch: Any, network: Any, example: tuple[Any, ...], name: str) -> Imported:
    for number, value in enumerate(example):
        if not hasattr(value, "shape"):
            raise InputError(f"{name}: example input {number} is a {type(value).__name__}")
        if not len(value.shape) or value.shape[0] != 1:
            raise InputError(
                f"{name}: input {number} has the shape {list(value.shape)}, needs a batch of 1",
                "--input-shape 1,3,32,32, or export it with an example of batch 1",
            )
    litert_torch = module("litert_torch", EXTRA)
    try:
        with _silence(), tempfile.TemporaryDirectory(prefix="tinydeploy-torch-") as folder:
            made = Path(folder) / "model.tflite"
            litert_torch.convert(network, example, strict_export=False).export(str(made))
            content = made.read_bytes()
    except MemoryError as error:
        raise RequestError(f"memory ran out while converting {name}") from error
    except Exception as error:
        raise _refusal(name, error) from error
    return Imported(content, _compared(torch, network, example, content))


def _refusal(name: str, error: Exception) -> InputError:
    text = str(error)
    operator = re.search(r"(?:[Ll]owering not found|not (?:supported|implemented))\D*?"
                         r"((?:aten|torch\.ops)[\w.:]+)|((?:aten|torchvision)[.:]{1,2}[\w.]+)",
                         text)  # fmt: skip
    if operator is None:
        return InputError(f"{name} cannot be converted: {first_line(error)}")
    where = re.search(r'File "[^"]+", line \d+, in forward\n\s*(.+)', text)
    line = f" (in {where[1].strip()!r:.80})" if where else ""
    return InputError(
        f"{name} needs {operator[1] or operator[2]}{line}, which litert-torch does not convert",
        "replace that layer by ones of convolutions, dense layers, pooling and ReLU",
    )


def _compared(torch: Any, network: Any, example: Sequence[Any], content: bytes) -> tuple[str, ...]:
    """What the user must know of how its answers differ from PyTorch's to one random input."""
    generator = torch.Generator().manual_seed(0)
    if any(value.dtype != torch.float32 for value in example):
        return ()
    values = [torch.rand(tuple(v.shape), generator=generator) for v in example]
    with torch.no_grad(), _silence():
        answer = network(*values)
    expected = [a.numpy() for a in (answer if isinstance(answer, tuple | list) else (answer,))]
    found = Runner(content).run([v.numpy() for v in values])
    if len(found) != len(expected):
        return ("its answers could not be compared with PyTorch's: its outputs changed",)
    worst = 0.0
    for wanted, made in zip(expected, found, strict=True):
        reach = max(float(np.abs(wanted).max()), 1e-6)
        worst = max(worst, float(np.abs(wanted.reshape(made.shape) - made).max()) / reach)
    if worst <= _TOLERANCE:
        return ()
    return (
        f"its answers differ from PyTorch's by up to {worst:.3g} of their range: litert-torch did "
        "not convert it faithfully",
    )


@contextmanager
def _silence() -> Iterator[None]:
    """litert-torch tells its progress on both outputs, some of it from C++."""
    with native_silence():
        try:
            kept = os.dup(1)
        except OSError:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            with suppress(OSError):
                os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
