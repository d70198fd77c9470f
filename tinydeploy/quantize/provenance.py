"""What a quantised file says of where it comes from: no path and no time, so that the same inputs
give the same bytes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path

from .. import __version__

_LARGEST_HASHED_BYTES = 1 << 30


def provenance(
    recipe: str,
    source_sha256: str,
    *,
    data: str | None,
    transform: str = "",
    labels: Sequence[str] = (),
    packages: Sequence[str] = ("ai-edge-quantizer",),
) -> dict[str, str]:
    """The metadata of a quantised model, for `finish()`.

    Args:
        recipe: How it was quantised.
        source_sha256: Of the float model.
        data: What calibrated it; the hash of a file, and nothing of folders and functions.
        transform: What its samples go through.
        labels: The classes' names.
        packages: Distributions that made it, beside tinydeploy.
    """
    made_by = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    return {
        "recipe": recipe,
        "source_sha256": source_sha256,
        "data_sha256": _hash(data),
        "normalization": transform,
        "labels": json.dumps(list(labels)) if labels else "",
        "tools": ", ".join([f"tinydeploy {__version__}", *made_by]),
    }


def _hash(spec: str | None) -> str:
    path = Path(spec) if spec else None
    if path is None or not path.is_file() or path.stat().st_size > _LARGEST_HASHED_BYTES:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
