"""The search: stage after stage, each from what the ones before it found.

calibrations, weights, repairs, int16 as a whole -> the best of them together -> which layers hurt
-> int16 activations or wider ranges for few of them, cheapest first -> fewer of those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import __version__, paths
from ...errors import InputError, RequestError
from ...report.report import Tool
from ...report.search import Harm, Point, Search
from ..repair import REPAIRS
from . import mixed
from .executors import Executor, Finished, Job
from .front import choose, on_front
from .quality import limit
from .recipe import Recipe
from .store import Store, fingerprint
from .trial import ANALYSIS, REFERENCE, TRIAL

# Sets of int16 layers are tried so many at once, cheapest first, until one holds; so few where
# int8 holds already.
_WAVE, _CURIOUS = 4, 2
CALIBRATIONS = ("minmax", "percentile", "mse", "kl")

# Told what is tried, how many trials have ended, and of how many that are known of.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SearchRequest:
    """What to search.

    Attributes:
        model: The float `.tflite` file's bytes.
        name: What the model is called.
        data, evaluation: See `data.load()`; absolute paths, for a cluster.
        board: Costs are those on it.
        folder: Trials are kept here.
        max_drop: How much quality may be lost, a share.
        transform: What every sample goes through.
        metric: None for the task's own.
        samples: Calibrate on at most so many; None for all.
        most: Measure the quality on at most so many, spread over the set.
        trials: Stop after so many.
        repairs: That may be tried.
        cheapest: "instructions", "ram_bytes" or "flash_bytes".
        board_folders: Of the user's own boards.
        toolchain, optimize: As in `BuildRequest`.
        cache: Compiled objects; None for none.
    """

    model: bytes
    name: str
    data: str
    evaluation: str
    board: str
    folder: Path
    max_drop: float
    transform: str = ""
    metric: str | None = None
    samples: int | None = None
    most: int = 500
    trials: int = 48
    repairs: tuple[str, ...] = tuple(REPAIRS)
    cheapest: str = "instructions"
    board_folders: tuple[Path, ...] = ()
    toolchain: str = "auto"
    optimize: str = "speed"
    cache: Path | None = None


def search(
    request: SearchRequest,
    executor: Executor,
    progress: Progress = lambda what, done, of: None,
) -> tuple[Search, bytes]:
    """Tries recipes and chooses.

    Returns:
        The search, and the chosen point's `.tflite` file; that of the best point where none holds.

    Raises:
        InputError: The model, the data or an option was rejected.
        RequestError: Nothing could be tried.
    """
    return _Searching(request, executor, progress).all()


class _Searching:
    """The state of a search: its points so far."""

    def __init__(self, request: SearchRequest, executor: Executor, progress: Progress) -> None:
        self._request = request
        # Costs depend on boards and kernels too.
        own = (str(paths.data("boards")), str(Path(__file__).parents[2]))
        folders = map(str, request.board_folders)
        prints = fingerprint(request.data, request.evaluation, *folders, *own)
        self._store = Store(request.folder / "trials", executor, prints)
        self._progress = progress
        self._points: list[Point] = []
        self._results: list[Finished] = []
        self._harms: tuple[Harm, ...] = ()
        self._float: dict[str, Any] = {}
        self._limit = 0.0

    def all(self) -> tuple[Search, bytes]:
        self._float = self._asked(REFERENCE, Recipe(), "the float model")["quality"]
        self._limit = limit(_measured(self._float), self._request.max_drop)
        self._try("calibration", [Recipe(calibration=c) for c in CALIBRATIONS])
        self._try("weights", [Recipe(per_channel=False)])
        self._try("repair", [Recipe(repairs=(name,)) for name in self._request.repairs])
        self._try("int16", [Recipe(kind="int16x8")])
        if not any(p.outcome == "done" for p in self._points):
            first = self._points[0]
            hint = self._results[0].result.get("hint", "")
            raise RequestError(f"no trial succeeded; the first: {first.message}", hint)
        self._try("together", self._together())
        self._mix()
        return self._concluded()

    # ---- Stages -------------------------------------------------------------------------

    def _together(self) -> list[Recipe]:
        """The best calibration with each repair that helped, with all of those, and with all."""
        base = self._best(p for p in self._points if p.stage == "calibration")
        if base is None:
            return []
        recipe = Recipe.from_dict(base.recipe)
        plain = self._points[0]
        helped = [
            p
            for p in self._points
            if p.stage == "repair" and p.same_as is None and self._rank(p) < self._rank(plain)
        ]
        allowed = self._request.repairs
        sets = {tuple(n for n in allowed if any(n in p.recipe["repairs"] for p in helped))}
        sets |= {tuple(p.recipe["repairs"]) for p in helped} | {allowed}
        ordered = sorted(sets, key=lambda names: (len(names), names))
        return [replace(recipe, repairs=names) for names in ordered if names]

    def _mix(self) -> None:
        """int16 activations, or wider ranges, for the layers that need it."""
        # 16 bits of activations do not help weights that share one scale.
        int8 = [p for p in self._points if p.recipe["kind"] == "int8" and p.recipe["per_channel"]]
        base = self._best(int8)
        if base is None or len(self._points) >= self._request.trials:
            return
        recipe = Recipe.from_dict(base.recipe)
        analysis = self._asked(ANALYSIS, recipe, "which layers hurt")
        wide = next((r for p, r in self._ran() if p.stage == "int16"), None)
        narrow = self._results[base.number].result
        self._harms = mixed.harms(analysis["layers"], narrow, wide.result if wide else None)
        self._try(
            "ranges", [replace(recipe, widened=w) for w in mixed.widened(self._harms, recipe)]
        )
        best = self._best(p for p in self._points if p.stage in ("ranges", base.stage)) or base
        recipe = Recipe.from_dict(best.recipe)
        sets = mixed.sets(self._harms)
        if best.holds:
            sets = sets[:_CURIOUS]
        for start in range(0, len(sets), _WAVE):
            wave = sets[start : start + _WAVE]
            self._try("mixed", [replace(recipe, int16=layers) for layers in wave])
            if any(p.holds for p in self._points if p.stage == "mixed"):
                break
        holding = [p for p in self._points if p.stage == "mixed" and p.holds]
        if holding and not best.holds:
            smallest = min(holding, key=lambda p: (p.instructions or 0, p.number))
            self._try("fewer", [
                replace(recipe, int16=layers)
                for layers in mixed.without_one(tuple(smallest.recipe["int16"]))
            ])  # fmt: skip

    # ---- Trials -------------------------------------------------------------------------

    def _try(self, stage: str, recipes: Sequence[Recipe]) -> None:
        """Runs recipes that were not tried yet, as far as trials are left."""
        known = [p.recipe for p in self._points]
        new = [r for r in dict.fromkeys(recipes) if r.to_dict() not in known]
        new = new[: max(0, self._request.trials - len(self._points))]
        ended = 0

        def done(number: int, finished: Finished) -> None:  # noqa: ARG001
            nonlocal ended
            ended += 1
            already = len(self._points)
            self._progress(stage, already + ended, already + len(new))

        self._progress(stage, len(self._points), len(self._points) + len(new))
        jobs = [self._job(TRIAL, recipe) for recipe in new]
        for recipe, finished in zip(new, self._store.run(jobs, done), strict=True):
            self._points.append(self._point(stage, recipe, finished))
            self._results.append(finished)

    def _asked(self, kind: str, recipe: Recipe, what: str) -> dict[str, Any]:
        """What a job answers that the search cannot do without."""
        self._progress(what, len(self._points), len(self._points))
        result = self._store.run([self._job(kind, recipe)], lambda n, f: None)[0].result
        if result["outcome"] == "done":
            return result
        if result["outcome"] == "failed":
            raise InputError(result["message"], result["hint"])
        raise RequestError(f"{what}: {result['message']}", result["hint"])

    def _job(self, kind: str, recipe: Recipe) -> Job:
        r = self._request
        request = {
            "kind": kind,
            "recipe": recipe.to_dict(),
            "label": r.name,
            "stem": "model",
            "data": r.data,
            "evaluation": r.evaluation,
            "transform": r.transform,
            "metric": r.metric,
            "samples": r.samples,
            "most": r.most,
            "board": r.board,
            "board_folders": [str(f) for f in r.board_folders],
            "toolchain": r.toolchain,
            "optimize": r.optimize,
            "cache": str(r.cache or ""),
        }
        return Job(request, r.model)

    def _point(self, stage: str, recipe: Recipe, finished: Finished) -> Point:
        result = finished.result
        blank = Point(
            number=len(self._points),
            stage=stage,
            name=recipe.name,
            recipe=recipe.to_dict(),
            outcome=result["outcome"],
        )
        if result["outcome"] != "done":
            return replace(blank, message=result["message"])
        quality, device = result["quality"], result["device"]
        sha256 = hashlib.sha256(_bare(finished.content)).hexdigest()
        twin = next((p.number for p in self._points if p.sha256 == sha256), None)
        point = replace(
            blank,
            message=device["problem"],
            quality=quality["value"],
            error=quality["error"],
            judge=quality["judge"],
            file_bytes=result["bytes"],
            flash_bytes=device["flash_bytes"],
            ram_bytes=device["ram_bytes"],
            instructions=device["instructions"],
            verified=device["verified"],
            same_as=twin,
            sha256=sha256,
            notes=tuple(result["notes"]),
        )
        return replace(point, holds=point.runs and self._holds(quality["value"]))

    def _holds(self, value: float) -> bool:
        slack = 1e-12 * max(1.0, abs(self._limit))
        higher = self._float["higher"]
        return value >= self._limit - slack if higher else value <= self._limit + slack

    def _ran(self) -> list[tuple[Point, Finished]]:
        pairs = zip(self._points, self._results, strict=True)
        return [(p, r) for p, r in pairs if p.outcome == "done"]

    # ---- Conclusions --------------------------------------------------------------------

    def _rank(self, point: Point) -> tuple[float, float]:
        """Smaller is better: quality, then closeness to the float model."""
        if point.quality is None or point.error is None:
            return (float("inf"), float("inf"))
        return (-point.quality if self._float["higher"] else point.quality, point.error)

    def _best(self, points: Iterable[Point]) -> Point | None:
        done = [p for p in points if p.outcome == "done"]
        return min(done, key=self._rank) if done else None

    def _concluded(self) -> tuple[Search, bytes]:
        r, higher = self._request, bool(self._float["higher"])
        points = on_front(self._points, higher=higher)
        chosen, reason = choose(points, r.cheapest, higher=higher)
        best = self._best(points)
        assert best is not None
        taken = best.number if chosen is None else chosen
        found = Search(
            tool=Tool("tinydeploy", __version__),
            model=r.name,
            model_sha256=hashlib.sha256(r.model).hexdigest(),
            board=r.board,
            data=r.data,
            evaluation=r.evaluation,
            samples=int(self._float["samples"]),
            metric=self._float["metric"],
            share=bool(self._float["share"]),
            higher=higher,
            float_quality=self._float["value"],
            max_drop=r.max_drop,
            limit=self._limit,
            cheapest=r.cheapest,
            points=points,
            harms=self._harms,
            chosen=chosen,
            reason=reason,
        )
        return found, self._results[taken].content


def _measured(content: dict[str, Any]) -> Any:
    from .quality import Measured

    return Measured(**content)


def _bare(content: bytes) -> bytes:
    """A file without what its metadata say of its recipe: equal models are equal."""
    from ..finish import finish

    return finish(content, {"recipe": ""})
