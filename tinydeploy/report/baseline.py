"""`baseline.json`: what firmware took when somebody last agreed to it; a file to commit.

Reports are compared with it, figure by figure, and what grew is told.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..files import write_whole
from . import report as r
from .report import Counter, Report

SCHEMA = 1

# Field of `Build` -> its name for people.
FIGURES: Mapping[str, str] = {
    "flash_bytes": "flash",
    "ram_bytes": "RAM",
    "arena_bytes": "arena",
    "inference": "inference",
}


@dataclass(frozen=True)
class Build:
    """What a firmware took, and how it came about.

    Attributes:
        model: The model's name.
        model_sha256: Hex digest of its file.
        board, engine, optimize: As in the report.
        toolchain: Name and version of the compiler.
        runner: Name of what ran it; null when nothing ran.
        counter: What `inference` counts.
        flash_bytes, ram_bytes: Of the whole image; null on the host.
        arena_bytes: Activations and scratch.
        inference: Instructions or cycles of the costliest inference; null when nothing ran.
    """

    model: str
    model_sha256: str
    board: str
    engine: str
    optimize: str
    toolchain: str
    runner: str | None
    counter: Counter
    flash_bytes: int | None
    ram_bytes: int | None
    arena_bytes: int
    inference: int | None


@dataclass(frozen=True)
class Baseline:
    """All of it.

    Attributes:
        builds: By the report's path, relative to the baseline's folder, with "/".
        schema: Of this file.
    """

    builds: Mapping[str, Build]
    schema: int = SCHEMA


@dataclass(frozen=True)
class Change:
    """A figure then and now."""

    build: Build
    figure: str
    before: int
    now: int
    verdict: Literal["equal", "shrank", "within", "grew"]


@dataclass(frozen=True)
class Comparison:
    """Reports against a baseline.

    Attributes:
        changes: Every figure that both have, equal ones too.
        problems: What could not be compared, or is wrong without a comparison; sentences.
        notes: What else is not as it was; sentences.
    """

    changes: tuple[Change, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def grown(self) -> int:
        return sum(change.verdict == "grew" for change in self.changes)

    @property
    def passed(self) -> bool:
        return not self.grown and not self.problems

    def to_json(self) -> str:
        """For programs."""
        content = {"passed": self.passed, **dataclasses.asdict(self)}
        return json.dumps(content, indent=2)


def read(path: Path) -> Baseline:
    """The baseline in the file `path`.

    Raises:
        InputError: It cannot be read or is no baseline.
    """
    hint = f"tinydeploy check {path} --update build/*/report.json"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", hint) from error
    try:
        baseline: Baseline = r.parse(Baseline, content, "baseline")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is not a baseline: {error}", hint) from error
    if baseline.schema != SCHEMA:
        raise InputError(
            f"{path} has baseline schema {baseline.schema}, this tinydeploy reads {SCHEMA}", hint
        )
    for name in FIGURES:
        for key, build in baseline.builds.items():
            value = getattr(build, name)
            if value is not None and value < 0:
                raise InputError(f"{path} is not a baseline: {key} has {name} {value}", hint)
    return baseline


def update(path: Path, reports: Sequence[Path]) -> Baseline:
    """Writes `path`: the builds that it has, read again, and those of `reports`.

    Raises:
        InputError: A report cannot be read, or is of something that failed.
        RequestError: It cannot be written.
    """
    known = read(path).builds if path.exists() else {}
    keys = sorted({*known, *(_key(path, report) for report in reports)})
    if not keys:
        raise InputError(f"no report for {path}", f"tinydeploy check {path} --update REPORT.json")
    builds = {}
    for key in keys:
        report = r.read(_file(path, key))
        if problem := _failure(key, report):
            raise InputError(problem, "nothing was written")
        builds[key] = build_of(report)
    content = {"schema": SCHEMA, "builds": {k: dataclasses.asdict(b) for k, b in builds.items()}}
    write_whole(path, json.dumps(content, indent=2) + "\n")
    return Baseline(builds)


def compare(path: Path, tolerance: float = 0.0) -> Comparison:
    """The reports that `path` names, as they are now, against it.

    Args:
        path: A baseline.
        tolerance: By what share a figure may grow, 0.01 for 1%.

    Raises:
        InputError: It is no baseline, or a report that it names is no report.
    """
    changes: list[Change] = []
    problems: list[str] = []
    notes: list[str] = []
    for key, before in read(path).builds.items():
        file = _file(path, key)
        if not file.is_file():
            problems.append(f"{key} is missing: build and verify {before.model} first")
            continue
        report = r.read(file)
        if problem := _failure(key, report):
            problems.append(problem)
        elif (now := build_of(report)).counter != before.counter and before.inference is not None:
            problems.append(f"{key} counts {now.counter}, the baseline {before.counter}")
        else:
            changes += _changes(before, now, tolerance)
            problems += _not_measured(key, before, now)
            notes += _notes(key, before, now)
    return Comparison(tuple(changes), tuple(problems), tuple(notes))


def build_of(report: Report) -> Build:
    """A report's figures."""
    memory, compiler = report.memory, report.toolchain
    return Build(
        model=report.model.name,
        model_sha256=report.model.sha256,
        board=report.board,
        engine=report.engine,
        optimize=report.optimize,
        toolchain=f"{compiler.name} {compiler.version}" if compiler else "",
        runner=report.runner.name if report.runner else None,
        counter=report.instructions.counter,
        flash_bytes=memory.flash_bytes if memory else None,
        ram_bytes=memory.ram_bytes if memory else None,
        arena_bytes=memory.arena_bytes if memory else 0,
        inference=report.instructions.inference,
    )


def _key(path: Path, report: Path) -> str:
    return Path(os.path.relpath(report, path.parent)).as_posix()


def _file(path: Path, key: str) -> Path:
    return Path(os.path.normpath(path.parent / key))


def _failure(key: str, report: Report) -> str:
    if report.outcome in ("built", "verified"):
        return ""
    return f"{key} says {report.outcome}" + (f": {report.error}" if report.error else "")


def _changes(before: Build, now: Build, tolerance: float) -> list[Change]:
    found = []
    for name in FIGURES:
        old, new = getattr(before, name), getattr(now, name)
        if old is None or new is None:
            continue
        verdict: Literal["equal", "shrank", "within", "grew"] = "grew"
        if new <= old:
            verdict = "equal" if new == old else "shrank"
        elif new <= old * (1 + tolerance):
            verdict = "within"
        found.append(Change(now, name, old, new, verdict))
    return found


def _not_measured(key: str, before: Build, now: Build) -> list[str]:
    names = [
        FIGURES[name]
        for name in FIGURES
        if getattr(before, name) is not None and getattr(now, name) is None
    ]
    return [f"{key} has no figure for {', '.join(names)}: verify it, do not only build it"] * bool(
        names
    )


def _notes(key: str, before: Build, now: Build) -> list[str]:
    names = ("model_sha256", "board", "engine", "optimize", "toolchain", "runner")
    return [
        f"{key}: the model is another one"
        if name == "model_sha256"
        else f"{key}: {name} is {getattr(now, name)}, was {getattr(before, name)}"
        for name in names
        if getattr(now, name) not in (getattr(before, name), None)
    ]
