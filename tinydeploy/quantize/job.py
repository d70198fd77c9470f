"""`tinydeploy quantize`: a float model and some data in, a quantised `.tflite` and its cost out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole
from . import repair
from .calibrate import observe
from .compare import MOST_COMPARED, Score, Yardstick, yardstick
from .data import Dataset, load, subset
from .finish import Verdict, finish, verdict
from .floatmodel import FloatModel, prepare
from .provenance import provenance
from .ptq import quantize
from .ranges import Pin
from .schemes import INT8, Override, Scheme, layer_schemes, tensor_bits
from .sources import read_source
from .statistics import METHODS, Statistics, method_of
from .suspicions import suspicions

ALL = "all"
_COMPARED_SIZES = 200

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class QuantizeRequest:
    """What to quantise, and how.

    Attributes:
        model: A `.tflite` file of float32, or what `sources.read_source()` makes one of.
        out: The `.tflite` file to write.
        data: Calibration data, see `data.load()`; not needed for dynamic range and float16.
        evaluation: Data to compare on, with labels or without; None takes some of `data`.
        transform: What every sample of both goes through.
        scheme, overrides, pins: See `ptq.quantize()`.
        calibration: A method, or "all": every one is tried, and the best is written.
        repairs: Of `repair.REPAIRS`, done with the chosen calibration.
        samples: Calibrate on at most this many, spread over the data.
        custom_objects: For Keras models, "file.py:function".
        input_shape: For ONNX and PyTorch models, see `imports.parse_shapes()`.
        labels: The classes' names, for the file's metadata; () for those that the data tell.
    """

    model: Path
    out: Path
    data: str | None = None
    evaluation: str | None = None
    transform: str = ""
    scheme: Scheme = INT8
    overrides: tuple[Override, ...] = ()
    pins: tuple[Pin, ...] = ()
    calibration: str = "minmax"
    repairs: tuple[str, ...] = ()
    samples: int | None = None
    custom_objects: str | None = None
    input_shape: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuantizeResult:
    """What was written, and what it cost.

    Attributes:
        out: The file.
        sha256, bytes: Of the file.
        float_bytes: Of the float model.
        calibration: The method of its ranges; "" where there are none.
        samples: How many calibrated it.
        float_score: How the float model does.
        methods: How each method does that was tried; the written one is named `calibration`.
        repairs: What each repair brought; the first is before any.
        sizes: How the calibration does with less data, before repairs, fewest samples first.
        verdict: What can be done with the file.
        warnings: What looks wrong.
    """

    out: Path
    sha256: str
    bytes: int
    float_bytes: int
    calibration: str
    samples: int
    float_score: Score | None
    methods: tuple[Score, ...]
    repairs: tuple[repair.Step, ...]
    sizes: tuple[Score, ...]
    verdict: Verdict
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**dataclasses.asdict(self), "out": str(self.out)}


def run(
    request: QuantizeRequest, progress: Progress = lambda what, done, of: None
) -> QuantizeResult:
    """Quantises a model, compares, and writes the file.

    Args:
        request: What to do.
        progress: Told what is going on, how much of it is done, and of how much.

    Raises:
        InputError: The model, the data or an option was rejected.
        RequestError: A package is missing, or the file cannot be written.
    """
    if request.calibration != ALL:
        method_of(request.calibration)
    if request.repairs and not request.scheme.is_static:
        raise InputError(
            f"{request.scheme.kind} keeps activations in float, which need no repair",
            "leave --repair out",
        )
    if request.out.resolve() == request.model.resolve():
        raise InputError(f"{request.out} is the model itself", "name another file: -o OUT.tflite")
    dataset = _calibration_data(request)  # first: a model may take long to import
    judged = _loaded(request, request.evaluation) if request.evaluation else None
    imported = read_source(request.model, request.custom_objects, request.input_shape)
    source = imported.content
    model = prepare(source, request.model.name)
    layer_schemes(model, request.scheme, request.overrides)
    _check_labels(request, model)
    measure = None
    if (compared := judged or dataset) is not None:
        measure = yardstick(model, subset(compared, MOST_COMPARED))
    warnings = [*imported.notes, *model.notes]
    sizes: tuple[Score, ...] = ()
    repaired: tuple[repair.Step, ...] = ()
    samples = 0
    if request.scheme.is_static and dataset is not None:
        statistics = observe(model, dataset, lambda done, of: progress("calibrate", done, of))
        warnings += suspicions(model, statistics)
        samples = statistics.samples
        candidates = _candidates(request, model, statistics, progress)
    else:
        statistics = None
        made = quantize(model, {}, request.scheme, request.overrides)
        candidates = {request.scheme.kind: made}
    chosen, scores = _best(candidates, measure, progress)
    if statistics is not None and measure is not None:
        sizes = _sizes(request, model, statistics, chosen, measure, progress)
    if request.repairs and statistics is not None and dataset is not None:
        done = repair.run(
            model,
            request.repairs,
            dataset,
            lambda now, seen: _quantised(request, now, seen, chosen),
            request.scheme,
            statistics=statistics,
            measure=measure,
            progress=lambda name, number, of: progress("repair", number, of),
        )
        candidates[chosen], repaired = done.content, done.steps
    content = finish(candidates[chosen], _metadata(request, source, chosen, samples, compared))
    float_score = measure.of_float() if measure else None
    warnings += _of_labels(float_score, measure)
    write_whole(request.out, content)
    return QuantizeResult(
        out=request.out,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        float_bytes=len(source),
        calibration=chosen if statistics else "",
        samples=samples,
        float_score=float_score,
        methods=scores,
        repairs=repaired,
        sizes=sizes,
        verdict=verdict(content, request.out.name),
        warnings=tuple(warnings),
    )


def _calibration_data(request: QuantizeRequest) -> Dataset | None:
    if request.data is None:
        if request.scheme.is_static:
            raise InputError(
                f"{request.scheme.kind} needs samples to find the ranges of the activations",
                "--data FILE.npz with some hundred inputs as the model takes them",
            )
        return None
    dataset = _loaded(request, request.data)
    return dataset if request.samples is None else subset(dataset, request.samples)


def _loaded(request: QuantizeRequest, spec: str) -> Dataset:
    return load(spec, transform=request.transform, label_names=request.labels)


def _check_labels(request: QuantizeRequest, model: FloatModel) -> None:
    classes = math.prod(model.tensors[model.outputs[0]].shape)
    classes = max(classes, 2)  # one output is a class or not
    if request.labels and len(request.labels) != classes:
        raise InputError(
            f"there are {len(request.labels)} labels ({', '.join(request.labels)[:80]}), "
            f"{model.label} has {classes} classes",
            "--labels NAME,NAME,… in the order of the model's outputs",
        )


def _quantised(
    request: QuantizeRequest, model: FloatModel, statistics: Statistics, method: str
) -> bytes:
    layers = layer_schemes(model, request.scheme, request.overrides)
    bits = tensor_bits(model, request.scheme, layers)
    ranges = statistics.ranges(method, bits)
    return quantize(model, ranges, request.scheme, request.overrides, request.pins)


def _candidates(
    request: QuantizeRequest, model: FloatModel, statistics: Statistics, progress: Progress
) -> dict[str, bytes]:
    """A finished file for each method."""
    names = list(METHODS) if request.calibration == ALL else [request.calibration]
    made = {}
    for number, name in enumerate(names):
        progress("quantise", number, len(names))
        made[name] = _quantised(request, model, statistics, name)
    return made


def _best(
    candidates: Mapping[str, bytes], measure: Yardstick | None, progress: Progress
) -> tuple[str, tuple[Score, ...]]:
    if measure is None:
        return next(iter(candidates)), ()
    scores = []
    for number, (name, content) in enumerate(candidates.items()):
        progress("compare", number, len(candidates))
        scores.append(measure.score(name, content))
    return min(scores, key=lambda score: score.rank).name, tuple(scores)


def _sizes(
    request: QuantizeRequest,
    model: FloatModel,
    statistics: Statistics,
    method: str,
    measure: Yardstick,
    progress: Progress,
) -> tuple[Score, ...]:
    """The chosen method after fewer samples, and after all of them, on one part of the data."""
    part = measure.part(_COMPARED_SIZES)
    scores = []
    stages = (*statistics.earlier, statistics)
    for number, stage in enumerate(stages):
        progress("sizes", number, len(stages))
        content = _quantised(request, model, stage, method)
        scores.append(part.score(str(stage.samples), content))
    return tuple(scores)


def _of_labels(score: Score | None, measure: Yardstick | None) -> list[str]:
    """A float model that only guesses has not been given what it was trained on."""
    if score is None or score.correct is None or measure is None or score.samples < 20:
        return []
    classes = max(2, measure.answers.shape[1])
    if score.correct / score.samples > 1.5 / classes:
        return []
    return [
        f"the float model itself is right on only {score.correct} of {score.samples} samples: are "
        "they normalised, and labelled, as they were for training?"
    ]


def _metadata(
    request: QuantizeRequest, source: bytes, method: str, samples: int, data: Dataset | None
) -> dict[str, str]:
    """What the file says of itself."""
    recipe: dict[str, Any] = {
        "scheme": dataclasses.asdict(request.scheme),
        "calibration": method,
        "samples": samples,
        "overrides": [dataclasses.asdict(o) for o in request.overrides],
        "pins": [dataclasses.asdict(p) for p in request.pins],
        **({"repairs": list(request.repairs)} if request.repairs else {}),
    }
    described = provenance(
        json.dumps(recipe, sort_keys=True),
        hashlib.sha256(source).hexdigest(),
        data=request.data,
        transform=request.transform,
        labels=request.labels or (data.label_names if data else ()),
    )
    if not request.scheme.is_static:
        described["use"] = "comparison only: no microcontroller engine runs it"
    return described
