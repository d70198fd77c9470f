"""What tests share: tools that may be missing, and the real models with their golden outputs.

`from tests.support import require, golden_input`; the fixtures of the same names in conftest.py
serve where a test prefers them.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydeploy.renode import find

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY.parent / "shared" / "models"

# The int8 models that golden.json has outputs of, by file stem.
MODEL_NAMES = (
    "kws_int8",
    "vww_int8",
    "ic_int8",
    "ad_int8",
    "sww_int8",
    "person_detect_int8",
    "micro_speech_int8",
    "hello_world_int8",
)


def _program(*names: str) -> bool:
    return any(shutil.which(program(name)) for name in names)


def _wheel(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


# What `require()` knows, and how it is found; "tinydeploy" is the package as pip installs it,
# "models" the folder beside the checkout,
# "tflm" an installation of TFLite Micro.
TOOLS: Mapping[str, Callable[[], bool]] = {
    "arm-gnu": lambda: _program("arm-none-eabi-gcc"),
    "zig": lambda: _wheel("ziglang"),
    "host-cc": lambda: _program("cc", "gcc", "clang"),
    "clang-format": lambda: _program("clang-format"),
    "ruff": lambda: _program("ruff"),
    "mypy": lambda: _wheel("mypy"),
    "qemu": lambda: _program("qemu-system-arm"),
    "unicorn": lambda: _wheel("unicorn"),
    "renode": lambda: find.locate() is not None,
    "oracle": lambda: _wheel("tflite_micro"),
    "pyocd": lambda: _wheel("pyocd"),
    "ptq": lambda: _wheel("ai_edge_quantizer") and _wheel("ai_edge_litert"),
    "tensorflow": lambda: _wheel("tensorflow_model_optimization") and _wheel("tf_keras"),
    "onnx": lambda: _wheel("onnx2tf") and _wheel("onnxruntime"),
    "torch": lambda: _wheel("torch") and _wheel("litert_torch"),
    "tinydeploy": lambda: (Path(sys.executable).parent / "tinydeploy").exists(),
    "tflm": lambda: Path(os.environ.get("TFLM_ROOT") or "/nowhere").is_dir(),
    "cmake": lambda: _program("cmake"),
    "models": lambda: (MODELS / "golden.json").is_file(),
}

_IN_NO_REGISTRY = ("models", "tflm", "renode")
_LARGE = ("tensorflow", "onnx", "torch", "cmake")


def required() -> frozenset[str]:
    """The tools that must not be missing: the comma list TINYDEPLOY_REQUIRE.

    "all" is everything that a registry has; "models", "tflm" and "renode" it has not, and what
    takes 2 GB is only required by its own name: "all,tensorflow", "onnx", "torch",
    "cmake".

    Raises:
        pytest.UsageError: It names something that is not a tool, which would require nothing.
    """
    names = {n.strip() for n in os.environ.get("TINYDEPLOY_REQUIRE", "").split(",") if n.strip()}
    if "all" in names:
        return (frozenset(TOOLS) - {*_IN_NO_REGISTRY, *_LARGE}) | (names & TOOLS.keys())
    unknown = sorted(names - TOOLS.keys())
    if unknown:
        known = ", ".join(TOOLS)
        raise pytest.UsageError(f"TINYDEPLOY_REQUIRE names {', '.join(unknown)}; known: {known}")
    return frozenset(names)


def program(name: str) -> str:
    """Its path: beside Python, where a wheel puts it, before what is on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(name, path=path) or name


def require(*tools: str) -> None:
    """Skips the test where a tool is missing; fails it where TINYDEPLOY_REQUIRE names the tool."""
    for tool in tools:
        if TOOLS[tool]():
            continue
        if tool in required():
            pytest.fail(f"{tool} is missing and TINYDEPLOY_REQUIRE names it", pytrace=False)
        pytest.skip(f"{tool} is not here")


@dataclass(frozen=True)
class Golden:
    """A model's entry in golden.json.

    Attributes:
        sha256: Of the `.tflite` file.
        outputs: int8 arrays of `output_shape`, one for each `golden_input(s, …)`, s = 0, 1, …
    """

    sha256: str
    input_shape: tuple[int, ...]
    input_zero_point: int
    output_shape: tuple[int, ...]
    outputs: tuple[NDArray[np.int8], ...]

    def input(self, s: int) -> NDArray[np.int8]:
        """Input number `s`, int8 of `input_shape`."""
        return golden_input(s, self.input_shape, self.input_zero_point)


def golden_input(s: int, shape: tuple[int, ...], zero_point: int) -> NDArray[np.int8]:
    """Input number `s` as golden.json defines it: int8 of `shape`, the same on every machine."""
    n = math.prod(shape)
    if s == 0:
        return ((np.arange(n) * 37 + 11) % 256 - 128).astype(np.int8).reshape(shape)
    x = (s * 2654435761 + 12345) % 2**32
    states = np.empty(n, np.uint32)
    for i in range(n):
        x = (x * 1664525 + 1013904223) % 2**32
        states[i] = x
    noise = (states >> 24).astype(np.uint8).view(np.int8).astype(np.int32) >> (s & 3)
    return np.clip(noise + zero_point, -128, 127).astype(np.int8).reshape(shape)


def read_golden(folder: Path) -> dict[str, Golden]:
    """Every model's entry in `folder`/golden.json, by file stem."""
    content: dict[str, Any] = json.loads((folder / "golden.json").read_text())
    return {
        name: Golden(
            sha256=entry["sha256"],
            input_shape=tuple(entry["input_shape"]),
            input_zero_point=entry["input_zero_point"],
            output_shape=tuple(entry["output_shape"]),
            outputs=tuple(
                np.frombuffer(bytes.fromhex(text), np.int8).reshape(entry["output_shape"])
                for text in entry["outputs_hex"]
            ),
        )
        for name, entry in content.items()
    }
