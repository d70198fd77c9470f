"""`tinydeploy check`: figures against a committed baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tinydeploy.cli import main
from tinydeploy.report import baseline, report
from tinydeploy.report.report import Instructions, Memory, Model, Report, Tool

REPORT = Report(
    outcome="verified",
    tool=Tool("tinydeploy", "1"),
    model=Model("m.tflite", "aa", "m"),
    board="nucleo_l4r5zi",
    core="cortex-m4",
    engine="aot",
    toolchain=Tool("arm-gnu", "12.2"),
    runner=Tool("unicorn", "2"),
    memory=Memory(
        arena_bytes=1000, ram_bytes=2000, flash_bytes=3000, weights_bytes=100, code_bytes=2900
    ),
    instructions=Instructions("instructions", 10, 40_000),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two reports, and a baseline made from them."""
    save(tmp_path, "a", REPORT)
    save(tmp_path, "b", replace(REPORT, board="host", instructions=Instructions()))
    result = check(tmp_path, "--update", *map(str, sorted(tmp_path.glob("build/*/report.json"))))
    assert result.exit_code == 0, result.stderr
    return tmp_path


def save(folder: Path, name: str, content: Report) -> None:
    report.write(content, folder / "build" / name / "report.json")


def check(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(folder / "baseline.json"), *options])


def grown(**memory: Any) -> Report:
    assert REPORT.memory is not None
    return replace(REPORT, memory=replace(REPORT.memory, **memory))


def test_nothing_changed(project: Path):
    result = check(project)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "7 of 7 figures are as they were\n"
    names = json.loads((project / "baseline.json").read_text())["builds"]
    assert [*names] == ["build/a/report.json", "build/b/report.json"]


def test_what_grew_is_a_table(project: Path):
    save(project, "a", replace(grown(flash_bytes=3001), instructions=Instructions(inference=5)))
    result = check(project)
    assert result.exit_code == 1
    assert result.stdout.split("\n")[2].split() == [
        "m", "nucleo_l4r5zi", "flash", "3,000", "3,001", "+0.03%", "grew",
    ]  # fmt: skip
    assert "-99.99%  shrank" in result.stdout
    assert "5 of 7 figures are as they were" in result.stdout
    assert "error: 1 of 7 figures grew beyond" in result.stderr
    assert "--update" in result.stderr
    found = json.loads(check(project, "--json").stdout)
    assert not found["passed"]
    assert {c["figure"]: c["verdict"] for c in found["changes"] if c["now"] != c["before"]} == {
        "flash_bytes": "grew", "inference": "shrank",
    }  # fmt: skip


@pytest.mark.parametrize(("percent", "code"), [("0", 1), ("0.9", 1), ("1", 0), ("5", 0)])
def test_tolerance(project: Path, percent: str, code: int):
    save(project, "a", grown(ram_bytes=2020))
    assert check(project, "--tolerance", percent).exit_code == code


def test_an_update_agrees(project: Path):
    save(project, "a", grown(flash_bytes=9999))
    assert check(project).exit_code == 1
    assert check(project, "--update").exit_code == 0
    assert check(project).exit_code == 0


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (replace(REPORT, outcome="differs"), "build/a/report.json says differs"),
        (replace(REPORT, outcome="does-not-fit", error="too large"), "does-not-fit: too large"),
        (
            replace(REPORT, outcome="built", instructions=Instructions()),
            "build/a/report.json has no figure for inference",
        ),
        (
            replace(REPORT, instructions=Instructions("cycles", 1, 1)),
            "build/a/report.json counts cycles, the baseline instructions",
        ),
    ],
)
def test_what_cannot_be_compared_fails(project: Path, now: Report, told: str):
    save(project, "a", now)
    result = check(project)
    assert result.exit_code == 1
    assert told in result.stdout
    assert "reports that cannot be compared: 1" in result.stderr


def test_a_missing_report_fails(project: Path):
    (project / "build" / "b" / "report.json").unlink()
    result = check(project)
    assert result.exit_code == 1
    assert "build/b/report.json is missing" in result.stdout


def test_another_compiler_is_told(project: Path):
    save(project, "a", replace(REPORT, toolchain=Tool("zig", "0.15")))
    result = check(project)
    assert result.exit_code == 0
    assert "toolchain is zig 0.15, was arm-gnu 12.2" in result.stdout


def test_a_failure_does_not_become_a_baseline(project: Path):
    before = (project / "baseline.json").read_bytes()
    save(project, "a", replace(REPORT, outcome="differs"))
    assert check(project, "--update").exit_code == 2
    assert (project / "baseline.json").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"builds": 5}', b'{"schema": 2, "builds": {}}', b"\xff",
        b"[" * 100_000,
        b'{"schema": 1, "builds": {"x": {"model": "m"}}}',
    ],
)  # fmt: skip
def test_no_baseline(tmp_path: Path, content: bytes):
    (tmp_path / "baseline.json").write_bytes(content)
    result = check(tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 2


def test_wrong_figures(project: Path):
    path = project / "baseline.json"
    path.write_text(path.read_text().replace("3000", "-3000"))
    assert check(project).exit_code == 2
    path.write_text(path.read_text().replace("-3000", "0"))
    result = check(project)
    assert result.exit_code == 1
    assert "+3,000" in result.stdout


def test_reports_are_for_updates(project: Path):
    assert check(project, "x.json").exit_code == 2
    assert check(project.parent / "nowhere").exit_code == 2


def test_keys_are_relative_to_the_baseline(tmp_path: Path):
    save(tmp_path, "a", REPORT)
    path = tmp_path / "ci" / "baseline.json"
    baseline.update(path, [tmp_path / "build" / "a" / "report.json"])
    assert [*baseline.read(path).builds] == ["../build/a/report.json"]
    assert baseline.compare(path).passed
