"""Damages models and feeds them to the front half: load, transform, plan, print C.

    python benchmarks/fuzz.py --mutants 20000
    python benchmarks/fuzz.py --replay 1234

Each mutant may be refused with one sentence, or accepted with a plan that makes sense. Anything
else is a failure: another exception, more memory or time than a limit, a process that dies.
Mutant number n of a seed is the same on every run with the same models.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

# NumPy's threads reserve memory that would count against the limit.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_REPOSITORY))

from benchmarks import mutate  # noqa: E402
from tinydeploy.engines import ENGINES  # noqa: E402
from tinydeploy.errors import TinydeployError  # noqa: E402
from tinydeploy.plan.plan import Isa, Optimize, Plan, Target  # noqa: E402
from tinydeploy.tflite.reader import loads  # noqa: E402

MODELS = _REPOSITORY.parent / "shared" / "models"
TARGETS = (
    Target((Isa.DSP, Isa.SCALAR), Optimize.SPEED),
    Target((Isa.SCALAR,), Optimize.SIZE),
)
SECONDS = 20.0
MEMORY_BYTES = 1 << 30
_GRACE_SECONDS = 10.0

ACCEPTED, REFUSED, TRACEBACK, TIMEOUT, MEMORY, DIED = (
    "accepted",
    "refused",
    "traceback",
    "timeout",
    "out of memory",
    "died",
)


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        what: One of the constants above.
        detail: The refusal's kind, or the traceback.
        seconds: How long it took.
        peak_kib: The process's largest resident memory so far.
    """

    number: int
    model: str
    way: str
    what: str
    detail: str = ""
    seconds: float = 0.0
    peak_kib: int = 0


@dataclass
class Corpus:
    """The models to damage.

    Args:
        models: Name -> content.
        seed: Another seed, other mutants.
    """

    models: Mapping[str, bytes]
    seed: int = 1

    def mutant(self, number: int) -> tuple[str, str, bytes]:
        """(model, what was done to it, the damaged file)."""
        rng = Random(f"{self.seed}:{number}")
        name = rng.choice(sorted(self.models))
        way, content = mutate.mutant(self.models[name], list(self.models.values()), rng)
        return name, way, content


def sound(models: Mapping[str, bytes]) -> dict[str, bytes]:
    """The models that are accepted as they are: only those are worth damaging."""
    accepted = {}
    for name, content in models.items():
        try:
            front_half(content)
        except TinydeployError as error:
            print(f"without {name}: {error.message}", file=sys.stderr)
        else:
            accepted[name] = content
    return accepted


def front_half(content: bytes) -> None:
    """Everything that is done before a compiler starts."""
    graph = loads(content, "mutant")
    for target in TARGETS:
        check(ENGINES["aot"].emit(graph, target).plan)


class Unsound(Exception):
    """A plan that no firmware should be made of."""


def check(plan: Plan) -> None:
    """Whether C can hold what the plan says."""
    for call in plan.calls:
        for name, value in call.fields.items():
            whole = isinstance(value, int) and not -(1 << 31) <= value < 1 << 32
            if whole or (isinstance(value, float) and not math.isfinite(value)):
                raise Unsound(f"layer {call.layer} {call.op}: {call.struct}.{name} = {value}")
    for tensor, place in plan.placements.items():
        if not 0 <= place.offset <= plan.arena_bytes - plan.graph.tensors[tensor].bytes:
            raise Unsound(f"tensor {tensor} lies at {place.offset} of {plan.arena_bytes}")


class _TimeIsUp(BaseException):
    """Raised by the alarm; not an Exception, so that nothing swallows it."""


def _raise_time_is_up(*_: object) -> None:
    raise _TimeIsUp


def examine(corpus: Corpus, number: int) -> Result:
    """Makes a mutant and runs the front half on it, for SECONDS at most."""
    model, way, content = corpus.mutant(number)
    started = time.monotonic()
    what, detail = ACCEPTED, ""
    before = signal.signal(signal.SIGALRM, _raise_time_is_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        front_half(content)
    except TinydeployError as error:
        what, detail = REFUSED, kind_of(error.message)
    except _TimeIsUp:
        what, detail = TIMEOUT, traceback.format_exc()
    except MemoryError:
        what, detail = MEMORY, traceback.format_exc()
    except Exception:
        what, detail = TRACEBACK, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Result(number, model, way, what, detail, seconds, peak)


def kind_of(message: str) -> str:
    """A message without its names and numbers."""
    text = re.sub(r'"[^"]*"', '"…"', message.removeprefix("mutant.tflite").lstrip(": "))
    text = re.sub(r"\[[^\]]*\]", "[…]", text)
    text = re.sub(r"-?\b(\d[\d.]*(e[-+]?\d+)?|inf|nan)\b", "N", text)
    return re.sub(r"\b[A-Z][A-Z0-9_]{2,}\b", "OP", text)


# ---- Workers ----------------------------------------------------------------------------------


def _work(corpus: Corpus, connection: Connection[Any, Any]) -> None:
    # A user would see them.
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    while (number := connection.recv()) is not None:
        connection.send(examine(corpus, number))


class _Worker:
    """A process, and the mutant that it has in hand."""

    def __init__(self, corpus: Corpus) -> None:
        context = get_context("fork")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(corpus, other), daemon=True)
        self.process.start()
        other.close()
        self.number: int | None = None
        self.since = 0.0

    def give(self, number: int | None) -> None:
        self.number, self.since = number, time.monotonic()
        self.connection.send(number)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def run(corpus: Corpus, mutants: int, jobs: int) -> Iterator[Result]:
    """The results of mutants 0 to `mutants`, as they come."""
    numbers = iter(range(mutants))
    workers = [_Worker(corpus) for _ in range(min(jobs, mutants))]
    try:
        for worker in workers:
            worker.give(next(numbers))
        while workers:
            wait([w.connection for w in workers], timeout=1.0)
            for worker in list(workers):
                result = _collect(worker)
                if result is None:
                    continue
                yield result
                if result.what in (DIED, MEMORY):
                    workers.remove(worker)
                    worker.stop()
                    worker = _Worker(corpus)
                    workers.append(worker)
                number = next(numbers, None)
                if number is None:
                    workers.remove(worker)
                    worker.stop()
                else:
                    worker.give(number)
    finally:
        for worker in workers:
            worker.stop()


def _collect(worker: _Worker) -> Result | None:
    number = worker.number
    assert number is not None
    if worker.connection.poll():
        try:
            result = worker.connection.recv()
        except EOFError:
            worker.process.join()
            return Result(number, "", "", DIED, f"exit code {worker.process.exitcode}")
        assert isinstance(result, Result)
        return result
    if time.monotonic() - worker.since > SECONDS + _GRACE_SECONDS:
        return Result(number, "", "", DIED, "did not answer the alarm")
    return None


# ---- The report ---------------------------------------------------------------------------------


@dataclass
class Tally:
    """All results, counted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    accepted_ways: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)
    slowest: Result = field(default_factory=lambda: Result(-1, "", "", ""))
    peak_kib: int = 0

    def add(self, result: Result) -> None:
        self.outcomes[result.what] += 1
        self.ways[result.way] += 1
        if result.what == ACCEPTED:
            self.accepted_ways[result.way] += 1
        elif result.what == REFUSED:
            self.refusals[result.detail] += 1
        else:
            self.failures.append(result)
        self.peak_kib = max(self.peak_kib, result.peak_kib)
        if result.seconds > self.slowest.seconds:
            self.slowest = result

    def show(self, top: int) -> None:
        total = sum(self.outcomes.values())
        for what in (ACCEPTED, REFUSED, TRACEBACK, TIMEOUT, MEMORY, DIED):
            print(f"{what:14} {self.outcomes[what]:7} of {total}")
        print(f"{'peak memory':14} {self.peak_kib // 1024:7} MiB (limit {MEMORY_BYTES >> 20})")
        print(f"{'slowest':14} {self.slowest.seconds:7.2f} s (mutant {self.slowest.number})")
        print("\naccepted, by what was done")
        for way, count in sorted(self.ways.items()):
            print(f"{self.accepted_ways[way]:7} of {count:5}  {way}")
        print(f"\nrefused: {len(self.refusals)} kinds of message")
        for kind, count in self.refusals.most_common(top):
            print(f"{count:7}  {kind}")
        groups: dict[str, list[Result]] = {}
        for result in self.failures:
            groups.setdefault(_site(result.detail), []).append(result)
        for site, results in sorted(groups.items(), key=lambda g: -len(g[1])):
            first = results[0]
            print(f"\n{len(results)} x {first.what} at {site}, first in mutant {first.number}")
            print(first.detail.rstrip())


def _site(text: str) -> str:
    """Where a traceback ends, and in which exception."""
    places = re.findall(r'File "[^"]*?([^/"]+)", line (\d+), in (\S+)', text)
    last = text.rstrip().rsplit("\n", 1)[-1].split(":")[0]
    return f"{places[-1][0]}:{places[-1][1]} {places[-1][2]} {last}" if places else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of real models")
    parser.add_argument("--top", type=int, default=40, help="kinds of refusals to print")
    parser.add_argument("--replay", type=int, help="run this one mutant here, and no other")
    parser.add_argument("--save", type=Path, help="where --replay writes the damaged file")
    options = parser.parse_args()
    models = sound({**mutate.networks(), **mutate.real_models(options.models)})
    corpus = Corpus(models, options.seed)
    if options.replay is not None:
        name, way, content = corpus.mutant(options.replay)
        print(f"mutant {options.replay} of {name}: {way}, {len(content)} bytes")
        if options.save:
            options.save.write_bytes(content)
        front_half(content)
        return 0
    print(f"{options.mutants} mutants of {', '.join(models)}; seed {options.seed}", flush=True)
    started = time.monotonic()
    tally = Tally()
    for result in run(corpus, options.mutants, options.jobs):
        tally.add(result)
    tally.show(options.top)
    print(f"\n{time.monotonic() - started:.0f} s")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
