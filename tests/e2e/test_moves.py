"""A chain so deep that its activations are moved up, on cores of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.generated import separable
from tests.support import require
from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import random_inputs
from tinydeploy.report.report import Report

pytestmark = pytest.mark.toolchain


def _proven(folder: Path, board: str, runner: str) -> Report:
    model = folder / "deep.tflite"
    model.write_bytes(separable(16, 32, 16))
    request = BuildRequest(
        model=model,
        board=board,
        out=folder / "out",
        sanitize=board == "host",
    )
    built = pipeline.build(request)
    plan = built.prepared.plan
    assert any(plan.moved)
    assert plan.arena_bytes < 1.4 * plan.lower_bound_bytes
    report, _ = pipeline.prove(
        built, random_inputs(built.prepared.graph, 3), runner=runner, layers=True
    )
    return report


@pytest.mark.parametrize(
    ("board", "runner", "tool"),
    [
        ("host", "host", "host-cc"),
        ("generic_cortex_m0", "unicorn", "unicorn"),
        ("generic_cortex_m3", "unicorn", "unicorn"),
        pytest.param("mps3_an547", "qemu", "qemu", marks=pytest.mark.emulator),
    ],
)
def test_moved_activations_are_what_the_next_layer_reads(
    board: str, runner: str, tool: str, tmp_path: Path
) -> None:
    require(tool, "oracle")
    report = _proven(tmp_path, board, runner)
    assert report.outcome == "verified", report.verify
    assert all(layer.equal for layer in report.layers if layer.kernel)
