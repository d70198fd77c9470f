"""What a run keeps on disk, and how it knows that this is still true."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from ...errors import InputError
from .recipe import Step


def parameters(model: Any) -> int:
    """Of the network itself, without what quantisers and wrappers add."""
    return int(
        sum(
            w.shape.num_elements()
            for w in model.weights
            if not any(part in w.name for part in ("_min", "_max", "optimizer_step", "quantizer"))
        )
    )


def plain(step: Step) -> dict[str, Any]:
    found = {f.name: getattr(step, f.name) for f in dataclasses.fields(step)}
    if step.features is not None:
        found["features"] = dict(step.features)
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file, of all files of a folder, or of the file of file.py:function."""
    if not path.exists():
        file, _, function = str(path).rpartition(":")
        if not Path(file).is_file():
            raise InputError(f"{path} does not exist")
        return f"{digest(Path(file))}:{function}"
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file_ in files:
        if path.is_dir():
            total.update(file_.relative_to(path).as_posix().encode() + b"\0")
        with file_.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
