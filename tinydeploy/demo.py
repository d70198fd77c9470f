"""The demo: a shipped model that reads handwritten digits, proven and judged on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import pipeline
from .build import BuildRequest
from .paths import data
from .pipeline import Built, Publish
from .report.report import Accuracy, Report

_FOLDER = "examples/digits"


def request(board: str, out: Path | None) -> BuildRequest:
    """What the demo builds."""
    return BuildRequest(model=data(f"{_FOLDER}/digits_int8.tflite"), board=board, out=out)


def run(
    request: BuildRequest,
    publish: Publish,
    on_line: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> tuple[Built, Report]:
    """Builds, proves every held-out image bit for bit, and counts the right answers.

    Returns:
        What was built, and the report with the device's accuracy.
    """
    test = data(f"{_FOLDER}/digits_test.npz")
    with np.load(test) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    built = pipeline.build(request, publish, on_line)
    samples = [(image[np.newaxis],) for image in images]
    report, answers = pipeline.prove(
        built, samples, layers=True, publish=publish, progress=progress
    )
    guesses = np.array([np.argmax(row[0]) for row in answers])
    accuracy = Accuracy(inputs=len(labels), correct=int((guesses == labels).sum()))
    report = replace(report, accuracy=accuracy)
    publish(report)
    return built, report
