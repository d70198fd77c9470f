"""One trial in a process of its own: `python -m tinydeploy.quantize.search FOLDER`.

The folder holds job.json and the float model; result.json and the quantised model are left in it.
The same job leaves the same bytes, on whatever machine and in whatever order it runs.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import DoesNotFit, InputError, TinydeployError
from ...files import write_whole
from ..compare import yardstick
from ..data import Dataset, load, subset
from ..floatmodel import prepare
from ..provenance import provenance
from ..sensitivity import analyse
from . import device
from .quality import measure
from .recipe import Recipe, make

JOB, RESULT, FLOAT, OUT = "job.json", "result.json", "float.tflite", "out.tflite"
_ANALYSED_SAMPLES = 100

TRIAL, ANALYSIS, REFERENCE = "trial", "analysis", "reference"


def run(folder: Path) -> None:
    """Does the job in a folder."""
    job: dict[str, Any] = json.loads((folder / JOB).read_bytes())
    try:
        result = _KINDS[job["kind"]](job, folder)
    except TinydeployError as error:
        # What is missing may be there next time; what is wrong stays wrong, and is kept.
        wrong = isinstance(error, InputError | DoesNotFit)
        outcome = "failed" if wrong else "crashed"
        result = {"outcome": outcome, "message": error.message, "hint": error.hint}
    write_whole(folder / RESULT, json.dumps(result, indent=1, sort_keys=True) + "\n")


def _trial(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes a model and measures it: quality by the oracle, costs on the board."""
    source = (folder / FLOAT).read_bytes()
    recipe, data = Recipe.from_dict(job["recipe"]), _calibration(job)
    described = provenance(
        recipe.name,
        hashlib.sha256(source).hexdigest(),
        data=job["data"],
        transform=job["transform"],
        labels=data.label_names,
    )
    made = make(prepare(source, job["label"]), recipe, data, described)
    # Its name is in the firmware: the same for all trials.
    path = folder / f"{job['stem']}.tflite"
    write_whole(path, made.content)
    write_whole(folder / OUT, made.content)
    found = measure(made.content, source, _evaluation(job), job["metric"], job["label"])
    costs = device.cost(
        path,
        job["board"],
        folder / "build",
        folders=tuple(map(Path, job["board_folders"])),
        toolchain=job["toolchain"],
        optimize=job["optimize"],
        cache=Path(job["cache"]) if job["cache"] else None,
    )
    return {
        "outcome": "done",
        "bytes": len(made.content),
        "quality": asdict(found),
        "device": costs.to_dict(),
        "notes": list(made.notes),
        "repaired": dict(made.layers),
    }


def _analysis(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Which layers of a recipe's model quantisation hurts."""
    recipe = Recipe.from_dict(job["recipe"])
    source = prepare((folder / FLOAT).read_bytes(), job["label"])
    made = make(source, recipe, _calibration(job), {})
    some = subset(_evaluation(job), _ANALYSED_SAMPLES)
    found = analyse(made.model, made.ranges, yardstick(made.model, some), recipe.scheme)
    made_by = {name: layer.index for layer in made.model.layers for name in layer.outputs}
    layers = [
        {
            "index": s.layer.index,
            "after": [made_by[name] for name in s.layer.inputs if name in made_by],
            "op": s.layer.op,
            "alone": s.alone.error,
            "all_but": s.all_but.error,
            "saturated": s.inside.saturated if s.inside else 0.0,
            "snr_db": s.inside.snr_db if s.inside and math.isfinite(s.inside.snr_db) else None,
        }
        for s in found.layers
    ]
    return {"outcome": "done", "whole": found.whole.error, "layers": layers}


def _reference(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """How the float model does."""
    source = (folder / FLOAT).read_bytes()
    found = measure(source, source, _evaluation(job), job["metric"], job["label"])
    return {"outcome": "done", "quality": asdict(found)}


_KINDS = {TRIAL: _trial, ANALYSIS: _analysis, REFERENCE: _reference}


def _calibration(job: dict[str, Any]) -> Dataset:
    dataset = load(job["data"], transform=job["transform"])
    return subset(dataset, job["samples"]) if job["samples"] else dataset


def _evaluation(job: dict[str, Any]) -> Dataset:
    dataset = load(job["evaluation"], transform=job["transform"])
    return subset(dataset, job["most"]) if job["most"] else dataset


__all__ = ["ANALYSIS", "REFERENCE", "TRIAL", "run"]
