"""A stand-in for TensorFlow Lite for Microcontrollers: its names, and an interpreter that runs one
RESHAPE. It shows what surrounds the interpreter where the real one is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from tinydeploy import cores, process
from tinydeploy.cores import Core
from tinydeploy.engines.tflm_operators import METHODS, TYPED
from tinydeploy.tflite.writer import Tensor, constant, single_operator

SOURCES = Path(__file__).resolve().parent / "fake"
CORE = cores.find("cortex-m4", "single")
NEEDS, USES = 1200, 772

_EMPTY = (
    "flatbuffers/flatbuffers.h",
    "fixedpoint/fixedpoint.h",
    "ruy/profiler/instrumentation.h",
)
_TYPES = """\
#pragma once
#include <stddef.h>
#include <stdint.h>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
struct TfLiteIntArray { int size; int data[1]; };
union TfLitePtrUnion { char *raw; };
struct TfLiteTensor { TfLitePtrUnion data; size_t bytes; };
struct TfLiteEvalTensor { TfLitePtrUnion data; };
struct TfLiteNode { TfLiteIntArray *outputs; };
struct TfLiteContext { TfLiteEvalTensor *(*GetEvalTensor)(const TfLiteContext *, int); };
struct TFLMRegistration { TfLiteStatus (*invoke)(TfLiteContext *, TfLiteNode *); };
void MicroPrintf(const char *format, ...);

"""


def reshape_model() -> bytes:
    """The one model that the stand-in runs: [1, 16] to [4, 4], int8."""
    kind = {"scales": (0.5,), "zero_points": (0,)}
    shape = constant(np.array([4, 4], np.int32))
    inputs = [Tensor((1, 16), **kind), shape]  # type: ignore[arg-type]
    return single_operator("RESHAPE", inputs, [Tensor((4, 4), **kind)], {})  # type: ignore[arg-type]


def headers(root: Path, without: Collection[str] = ()) -> Path:
    """Writes an installation's headers.

    Args:
        root: The installation's folder.
        without: Operators that it is to lack, by TFLite's names.
    """
    shutil.copytree(SOURCES / "tensorflow", root / "tensorflow", dirs_exist_ok=True)
    shutil.copytree(SOURCES / "std", root, dirs_exist_ok=True)
    for name in _EMPTY:
        _write(root / name, "")
    micro = root / "tensorflow" / "lite" / "micro"
    names = [name for name in METHODS if name not in without]
    builtin = "".join(f"  BuiltinOperator_{name},\n" for name in names)
    _write(
        micro / "operators.h",
        f"{_TYPES}namespace tflite {{\nstruct Model;\nenum BuiltinOperator {{\n{builtin}}};\n"
        "struct MicroOpResolver {\n  virtual const TFLMRegistration *FindOp(BuiltinOperator) const"
        " = 0;\n};\n}\n",
    )
    declared = "".join(f"TFLMRegistration Register_{name}();\n" for name in names)
    methods = "".join(
        f"  TfLiteStatus {METHODS[name]}(const TFLMRegistration &r = Register_{name}()) "
        f"{{ return add(BuiltinOperator_{name}, r); }}\n"
        for name in names
    )
    _write(
        micro / "micro_mutable_op_resolver.h",
        '#pragma once\n#include "tensorflow/lite/micro/operators.h"\nnamespace tflite {\n'
        f"{declared}template <unsigned N>\nclass MicroMutableOpResolver : public MicroOpResolver "
        f"{{\n public:\n{methods}"
        "  const TFLMRegistration *FindOp(BuiltinOperator op) const override {\n"
        "    for (unsigned i = 0; i < count_; i++) if (ops_[i] == op) return &all_[i];\n"
        "    return nullptr;\n  }\n private:\n"
        "  TfLiteStatus add(BuiltinOperator op, const TFLMRegistration &r) {\n"
        "    if (count_ == N) return kTfLiteError;\n"
        "    ops_[count_] = op;\n    all_[count_++] = r;\n    return kTfLiteOk;\n  }\n"
        "  BuiltinOperator ops_[N];\n  TFLMRegistration all_[N];\n  unsigned count_ = 0;\n};\n}\n",
    )
    for header in {typed.header for typed in TYPED.values()}:
        functions = [
            function
            for name, typed in TYPED.items()
            if typed.header == header and name not in without
            for function in (typed.int8, typed.int16)
            if function
        ]
        text = "".join(f"TFLMRegistration {function}();\n" for function in functions)
        _write(
            micro / "kernels" / header,
            '#pragma once\n#include "tensorflow/lite/micro/operators.h"\n'
            f"namespace tflite {{\n{text}}}\n",
        )
    return root


def library(root: Path, core: Core = CORE, *, cmsis_nn: bool = True, place: str = "") -> Path:
    """Compiles the library for a core, into lib/`place` (the core's name)."""
    folder = root / "lib" / (place or core.name)
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-Os", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", f"-I{root}"]
    flags += [f"-DFAKE_NEEDS={NEEDS}", f"-DFAKE_USES={USES}"]
    flags += ["-DFAKE_CMSIS_NN"] if cmsis_nn else []
    objects = []
    for source in ("fake.cc", "own_debug_log.cc"):
        target = folder / f"{source}.o"
        _run(["arm-none-eabi-gcc", *core.gcc_flags, *flags, "-c", SOURCES / source, "-o", target])
        objects.append(target)
    archive = folder / "libtensorflow-microlite.a"
    archive.unlink(missing_ok=True)
    _run(["arm-none-eabi-ar", "rcs", archive, *objects])
    return archive


def _run(argv: Sequence[str | Path]) -> None:
    done = process.run(argv, timeout_s=60)
    assert done.returncode == 0, done.stderr


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
