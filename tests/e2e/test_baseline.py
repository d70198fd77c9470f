"""What the models cost does not grow: `benchmarks/goals.py --check`, a test a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import goals
from tests.support import require


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> goals.Bench:
    require("arm-gnu", "unicorn")
    return goals.Bench(Path(tmp_path_factory.mktemp("baseline")), "arm-gnu")


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, marks=pytest.mark.emulator if c.core == "cortex-m55" else [], id=str(c))
        for c in goals.SHORT
    ],
)
def test_no_count_grows_by_more_than_two_percent(bench: goals.Bench, case: goals.Case) -> None:
    if not case.path.is_file():
        require("models")
    if case.core == "cortex-m55":
        require("qemu")
    now = goals.measured(bench, [case])
    compiler, before = goals.read_baseline()
    if compiler != bench.compiler:
        pytest.skip(f"the baseline is of {compiler}")
    told = "if it is meant: python benchmarks/goals.py --update"
    assert not goals.grown(now, before), told


def test_growth_is_told_from_noise() -> None:
    before = {"kws": {"instructions": 1000, "cycles": 2000}}
    assert goals.grown({"kws": {"instructions": 1020, "cycles": 1900}}, before) == []
    (line,) = goals.grown({"kws": {"instructions": 1021, "cycles": 2000}}, before)
    assert line == "kws: instructions 1,021 was 1,000 (+2.1%)"


def test_what_the_baseline_lacks_is_told() -> None:
    (line,) = goals.grown({"vww": {"instructions": 1}}, {})
    assert "not in baseline.json" in line
