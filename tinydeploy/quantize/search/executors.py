"""Where trials run: in processes on this machine, or on a Dask cluster. Same results either way.

A trial is always a process of its own. One that is killed (memory, a crash in native code) is
started once more; one that fails says why, and the search goes on.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...errors import RequestError
from ...files import write_whole
from ...process import started
from ..frameworks import first_line, module
from .trial import FLOAT, JOB, OUT, RESULT

DASK = "pip install 'tinydeploy[dask]'"
_ATTEMPTS = 2
_POLL_S = 0.05
_CONNECT_S = 10
_LONGEST_S = 3600.0


@dataclass(frozen=True, eq=False)
class Job:
    """A trial to be run.

    Attributes:
        request: What `trial.run()` reads as JSON.
        model: The float `.tflite` file.
    """

    request: dict[str, Any]
    model: bytes


@dataclass(frozen=True, eq=False)
class Finished:
    """What came of a trial.

    Attributes:
        result: With "outcome": "done"; or "failed" (the trial says why), "crashed" or "killed",
            with a "message".
        content: The quantised file; empty where there is none.
    """

    result: dict[str, Any]
    content: bytes


# Told the number of a trial that ended.
Done = Callable[[int, Finished], None]


class Executor(Protocol):
    """Runs trials and returns what came of them, in the order of the jobs."""

    def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]: ...


@dataclass
class _Running:
    """A trial's process."""

    job: Job
    attempt: int
    folder: Path
    stack: ExitStack
    process: Any
    until: float = field(default_factory=lambda: time.monotonic() + _LONGEST_S)


class Local:
    """Processes on this machine.

    Args:
        jobs: How many at a time.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]:
        found: dict[int, Finished] = {}
        waiting = list(enumerate(jobs))[::-1]
        running: dict[int, _Running] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._jobs:
                    number, job = waiting.pop()
                    running[number] = _start(job, 1)
                for number, trial in list(running.items()):
                    ended = _ended(trial)
                    if ended is None:
                        continue
                    trial.stack.close()
                    del running[number]
                    if ended.result["outcome"] == "killed" and trial.attempt < _ATTEMPTS:
                        running[number] = _start(trial.job, trial.attempt + 1)
                        continue
                    found[number] = ended
                    done(number, ended)
                time.sleep(_POLL_S)
        finally:
            for trial in running.values():
                trial.stack.close()
        return [found[number] for number in range(len(jobs))]


def _start(job: Job, attempt: int) -> _Running:
    stack = ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinydeploy-trial-")))
    write_whole(folder / JOB, json.dumps(job.request))
    write_whole(folder / FLOAT, job.model)
    said = stack.enter_context((folder / "said.txt").open("wb"))
    argv = [sys.executable, "-m", "tinydeploy.quantize.search", str(folder)]
    process = stack.enter_context(
        started(argv, stdout=said.fileno(), stderr=said.fileno(), dies_with_us=True)
    )
    return _Running(job, attempt, folder, stack, process)


def _ended(trial: _Running) -> Finished | None:
    """What came of a trial; None while it runs."""
    code = trial.process.poll()
    if code is None:
        if time.monotonic() < trial.until:
            return None
        message = f"the trial did not end within {_LONGEST_S:g} s"
        return Finished({"outcome": "crashed", "message": message, "hint": ""}, b"")
    said = (trial.folder / "said.txt").read_text("utf-8", "replace").strip().splitlines()
    result = trial.folder / RESULT
    if code == 0 and result.is_file():
        out = trial.folder / OUT
        content = out.read_bytes() if out.is_file() else b""
        return Finished(json.loads(result.read_bytes()), content)
    if code < 0:
        times = "twice" if trial.attempt > 1 else "once"
        message = f"the trial was killed {times} by signal {-code}"
        return Finished({"outcome": "killed", "message": message, "hint": ""}, b"")
    message = said[-1] if said else f"the trial ended with code {code}"
    return Finished({"outcome": "crashed", "message": message, "hint": ""}, b"")


def isolated(request: dict[str, Any], model: bytes) -> tuple[dict[str, Any], bytes]:
    """One trial in a process of its own: what a cluster's worker calls."""
    ended = Local(1).run([Job(request, model)], lambda number, finished: None)[0]
    return ended.result, ended.content


class Cluster:
    """Workers of a Dask cluster that is there already.

    They need tinydeploy of the same version, and the data under the same paths.

    Args:
        address: The scheduler's, such as "tcp://host:8786".
    """

    def __init__(self, address: str) -> None:
        self._distributed = module("distributed", DASK)
        self._address = address

    def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]:
        with self._client() as client:
            # pure=False: a trial that was killed earlier must not be remembered as an error.
            futures = [
                client.submit(isolated, job.request, job.model, pure=False, retries=1)
                for job in jobs
            ]
            numbers = {future.key: number for number, future in enumerate(futures)}
            found: dict[int, Finished] = {}
            for future in self._distributed.as_completed(futures):
                number = numbers[future.key]
                found[number] = _gathered(future)
                done(number, found[number])
        return [found[number] for number in range(len(jobs))]

    def _client(self) -> Any:
        try:
            return self._distributed.Client(self._address, timeout=_CONNECT_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise RequestError(
                f"no Dask scheduler answers at {self._address}: {first_line(error)}",
                "dask scheduler, and dask worker ADDRESS on each machine",
            ) from error


def _gathered(future: Any) -> Finished:
    error = future.exception()
    if error is None:
        result, content = future.result()
        return Finished(result, content)
    outcome = "killed" if type(error).__name__ == "KilledWorker" else "crashed"
    return Finished({"outcome": outcome, "message": first_line(error), "hint": ""}, b"")
