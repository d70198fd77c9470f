"""Finished trials on disk, so that a search that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ...files import write_whole
from .executors import Done, Executor, Finished, Job

# What decides where a trial runs, not what comes of it.
_PLACES = ("cache",)
# What crashed or was killed may do better next time.
_LASTING = ("done", "failed")


class Store:
    """Runs jobs through an executor, but for those that were finished before.

    Args:
        folder: Of the results, a file or two a trial.
        executor: For the rest.
        fingerprint: Of the data.
    """

    def __init__(self, folder: Path, executor: Executor, fingerprint: str) -> None:
        self._folder = folder
        self._executor = executor
        self._fingerprint = fingerprint
        self.resumed = 0

    def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]:
        """What came of every job, in their order."""
        keys = [self._key(job) for job in jobs]
        found = {n: kept for n, key in enumerate(keys) if (kept := self._read(key)) is not None}
        self.resumed += len(found)
        for number, kept in found.items():
            done(number, kept)
        left = [n for n in range(len(jobs)) if n not in found]

        def ended(place: int, finished: Finished) -> None:
            number = left[place]
            if finished.result["outcome"] in _LASTING:
                self._write(keys[number], finished)
            done(number, finished)

        fresh = self._executor.run([jobs[n] for n in left], ended) if left else []
        found |= dict(zip(left, fresh, strict=True))
        return [found[n] for n in range(len(jobs))]

    def _key(self, job: Job) -> str:
        request = {k: v for k, v in job.request.items() if k not in _PLACES}
        text = json.dumps([__version__, self._fingerprint, request], sort_keys=True)
        return hashlib.sha256(text.encode() + job.model).hexdigest()[:32]

    def _read(self, key: str) -> Finished | None:
        try:
            result = json.loads((self._folder / f"{key}.json").read_bytes())
            content = b""
            if result.get("sha256"):
                content = (self._folder / f"{key}.tflite").read_bytes()
                if hashlib.sha256(content).hexdigest() != result["sha256"]:
                    return None
            return Finished(result, content)
        except (OSError, ValueError):
            return None

    def _write(self, key: str, finished: Finished) -> None:
        """The model first: a result without it would be taken for a whole one."""
        if finished.content:
            write_whole(self._folder / f"{key}.tflite", finished.content)
            finished.result["sha256"] = hashlib.sha256(finished.content).hexdigest()
        text = json.dumps(finished.result, indent=1, sort_keys=True) + "\n"
        write_whole(self._folder / f"{key}.json", text)


def fingerprint(*specs: str) -> str:
    """What tells whether data are still the same: of files the content, of folders the listing."""
    digest = hashlib.sha256()
    for spec in specs:
        digest.update(f"{spec}\0".encode())
        path = Path(spec)
        if not path.exists():
            path = Path(spec.rpartition(":")[0])
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif path.is_dir():
            for entry in sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc"):
                facts: Any = entry.stat()
                name = entry.relative_to(path)
                digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()
