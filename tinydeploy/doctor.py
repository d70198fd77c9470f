"""What is installed, what is missing, and what to type."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import paths, process, toolchains
from .errors import TinydeployError


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        name: What it is.
        ok: It is here and works.
        detail: Its version and where it is; or what is wrong, and what it would be good for.
        hint: What to type; empty when there is nothing to do.
        required: The main job does not work without it.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""
    required: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> list[Finding]:
    """Looks at everything that tinydeploy can use; changes nothing but the cache folder."""
    return [
        _python(),
        _wheel("SCons", "scons", "builds the firmware", required=True),
        _wheel("unicorn", "unicorn", "the embedded emulator", required=True),
        _toolchain("arm-gnu", "makes smaller firmware than zig does"),
        _toolchain("zig", "the compiler that needs no installation", required=True),
        _toolchain("host", "builds for this machine: --on host"),
        _program(
            "qemu-system-arm",
            "runs the boards that are QEMU machines, the Cortex-M55 among them",
            "Debian: apt install qemu-system-arm; macOS: brew install qemu",
        ),
        _renode(),
        _flashers(),
        _oracle(),
        _extra("quantize .tflite", "ptq", "ai-edge-quantizer", "ai-edge-litert"),
        _extra("quantize Keras", "train", "tensorflow", "tf_keras"),
        _extra("quantize ONNX", "onnx", "onnx2tf", "onnxruntime"),
        _extra("quantize PyTorch", "torch", "torch", "litert-torch"),
        _tflm(),
        _cache(),
        _boards(),
    ]


def _python() -> Finding:
    detail = f"{platform.python_version()}, {sys.executable}"
    return Finding("Python", sys.version_info >= (3, 11), detail, required=True)


def _wheel(name: str, package: str, use: str, *, required: bool = False) -> Finding:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        hint = f"pip install {package}"
        return Finding(name, False, f"not installed: {use}", hint, required=required)
    return Finding(name, True, version, required=required)


def _extra(name: str, extra: str, *packages: str) -> Finding:
    found = [_wheel(package, package, "") for package in packages]
    missing = [wheel.name for wheel in found if not wheel.ok]
    if missing:
        hint = f"pip install 'tinydeploy[{extra}]'"
        return Finding(name, False, f"not installed: {', '.join(missing)}", hint)
    return Finding(name, True, ", ".join(f"{wheel.name} {wheel.detail}" for wheel in found))


def _toolchain(name: str, use: str, *, required: bool = False) -> Finding:
    title = f"toolchain {name}"
    try:
        found = toolchains.find(name, for_host=name == "host")
    except TinydeployError as error:
        detail = f"{error.message}: {use}"
        return Finding(title, False, detail, error.hint, required=required)
    return Finding(title, True, f"{found.version}, {found.cc[0]}", required=required)


def _program(name: str, use: str, hint: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, False, f"not on PATH: {use}", hint)
    try:
        told = process.run([path, "--version"], timeout_s=20).stdout.strip().splitlines()
    except TinydeployError as error:
        return Finding(name, False, error.message, hint)
    return Finding(name, True, f"{told[0] if told else 'unknown version'}, {path}")


def _renode() -> Finding:
    from .renode import find

    try:
        argv = find.locate()
        if argv is None:
            return Finding("renode", False, "not found: runs every board: --on renode", find.HINT)
        if len(argv) > 1:  # asking its version would download it
            return Finding("renode", True, f"{argv[0]} downloads it when it is first used")
        found = find.find()
    except TinydeployError as error:
        return Finding("renode", False, error.message, error.hint)
    return Finding("renode", True, f"{found.version}, {found.argv[0]}")


def _flashers() -> Finding:
    """Any of the tools that write flash: which, depends on the board."""
    from .flashers import FLASHERS
    from .flashing import find_program

    found = [f.programs[0] for f in FLASHERS.values() if f.name != "uf2" and find_program(f)]
    if found:
        return Finding("flash tools", True, ", ".join(found))
    return Finding("flash tools", False, "none: they write a board's flash", "pip install pyocd")


def _oracle() -> Finding:
    found = _wheel("oracle", "tflite-micro", "outputs are compared with NumPy's instead")
    if found.ok:
        return Finding("oracle", True, f"tflite-micro {found.detail}")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        detail = "tflite-micro has no build for this machine: NumPy computes what is compared with"
        return Finding("oracle", False, detail)
    return found


def _tflm() -> Finding:
    from .engines import tflm_library

    try:
        return Finding("TFLite Micro", True, tflm_library.find(None).summary())
    except TinydeployError as error:
        return Finding("TFLite Micro", False, f"{error.message}: for --engine tflm", error.hint)


def _cache() -> Finding:
    return _folder("cache", paths.cache, "set TINYDEPLOY_CACHE to a folder that can be written")


def _boards() -> Finding:
    def count() -> str:
        from .boards import all_boards

        found = sum(not board.is_host for board in all_boards())
        return f"{found} in {paths.data('boards')}"

    return _folder("boards", count, "pip install --force-reinstall tinydeploy", required=True)


def _folder(
    name: str, look: Callable[[], Path | str], hint: str, *, required: bool = False
) -> Finding:
    try:
        return Finding(name, True, str(look()), required=required)
    except TinydeployError as error:
        return Finding(name, False, error.message, error.hint or hint, required=required)
