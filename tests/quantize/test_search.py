"""The search: what it tries, what it takes, and that nothing but the recipes decides it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.quantize import badly_scaled
from tests.support import require
from tinydeploy.errors import DoesNotFit, InputError, RequestError, TinydeployError
from tinydeploy.quantize.finish import read_metadata
from tinydeploy.quantize.search import Local, SearchRequest, mixed, parse_drop, search, trial
from tinydeploy.quantize.search.executors import Done, Finished, Job
from tinydeploy.quantize.search.front import choose, on_front
from tinydeploy.quantize.search.quality import Measured, limit
from tinydeploy.quantize.search.recipe import Recipe
from tinydeploy.report import pareto
from tinydeploy.report.search import Harm, Point, Search, to_json

BOARD = "nucleo_l4r5zi"


@pytest.fixture(autouse=True)
def _needs_packages() -> None:
    require("ptq", "oracle")


# ---- The choice -----------------------------------------------------------------------------


def point(number: int, quality: float, instructions: int, ram: int = 100, flash: int = 100,
          **how: object) -> Point:  # fmt: skip
    made = Point(
        number=number,
        stage="",
        name=f"p{number}",
        recipe={},
        outcome="done",
        quality=quality,
        error=1 - quality,
        instructions=instructions,
        ram_bytes=ram,
        flash_bytes=flash,
        verified=True,
        holds=quality >= 0.9,
    )
    return replace(made, **how)  # type: ignore[arg-type]


def test_front_keeps_what_nobody_beats() -> None:
    points = [
        point(0, 0.9, 100),
        point(1, 0.95, 200),
        point(2, 0.92, 300),  # worse and dearer than 1
        point(3, 0.92, 300, ram=50),  # but this one needs less RAM
        point(4, 0.99, 10, verified=False),
        point(5, 0.9, 100, same_as=0),
    ]
    assert [p.number for p in on_front(points, higher=True) if p.on_front] == [0, 1, 3]


def test_front_of_errors_is_the_other_way_round() -> None:
    points = [point(0, 0.9, 100), point(1, 0.5, 100)]
    assert [p.number for p in on_front(points, higher=False) if p.on_front] == [1]


def test_the_cheapest_that_holds_is_taken() -> None:
    points = [point(0, 0.8, 50), point(1, 0.91, 100), point(2, 0.99, 200, ram=10)]
    assert choose(points, "instructions", higher=True)[0] == 1
    assert choose(points, "ram_bytes", higher=True)[0] == 2
    number, reason = choose(points[:1], "instructions", higher=True)
    assert number is None
    assert "no point holds; the best is p0" in reason


def test_a_few_instructions_are_no_reason_for_the_worse_model() -> None:
    points = [point(0, 0.91, 10_000), point(1, 0.97, 10_050)]
    number, reason = choose(points, "instructions", higher=True)
    assert number == 1
    assert "within 1%" in reason


def test_closeness_decides_among_equally_good_ones_only() -> None:
    points = [point(0, 0.97, 100, error=0.3), point(1, 0.97, 100, error=0.2)]
    points.append(point(2, 0.91, 100, error=0.1))
    number, reason = choose(points, "instructions", higher=True)
    assert number == 1
    assert "it is the best, and of equally good ones the closest" in reason


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.02", 0.02), (" 0.5 % ", 0.005)])
def test_max_drop(text: str, share: float) -> None:
    assert parse_drop(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "one", "-1%", "100%", "nan"])
def test_max_drop_is_a_share(text: str) -> None:
    with pytest.raises(InputError, match="--max-drop"):
        parse_drop(text)


def test_limit_is_in_points_of_a_share_and_in_parts_of_an_error() -> None:
    accuracy = Measured("accuracy", 0.95, True, True, 0, "", 1)
    assert limit(accuracy, 0.01) == pytest.approx(0.94)
    error = Measured("mse", 0.2, False, False, 0, "", 1)
    assert limit(error, 0.01) == pytest.approx(0.202)


# ---- Mixed precision ------------------------------------------------------------------------


def harm(
    index: int, alone: float, extra: int | None, saturated: float = 0.0, after: int | None = None
) -> Harm:
    behind = () if after is None else (after,)
    return Harm(index, "CONV_2D", alone, 0.0, saturated, None, extra, behind)


def result(*instructions: int) -> dict[str, object]:
    layers = [
        {"index": i, "op": "CONV_2D", "macs": 1, "elements": 10, "instructions": n}
        for i, n in enumerate(instructions)
    ]
    return {"device": {"layers": layers}}


def test_layers_come_in_the_order_of_error_taken_away_for_an_instruction() -> None:
    layers = [
        {
            "index": 0,
            "after": [],
            "op": "CONV_2D",
            "alone": 1.0,
            "all_but": 0,
            "saturated": 0,
            "snr_db": 1,
        },
        {
            "index": 1,
            "after": [0],
            "op": "CONV_2D",
            "alone": 2.0,
            "all_but": 0,
            "saturated": 0,
            "snr_db": 1,
        },
    ]
    found = mixed.harms(layers, result(1000, 1000), result(2000, 100_000))
    assert [h.index for h in found] == [0, 1]
    assert found[0].extra_instructions == 1000 + 580
    assert [h.index for h in mixed.harms(layers, result(1000, 1000), None)] == [1, 0]


def test_sets_of_layers_grow() -> None:
    found = [harm(3, 5, 1), harm(1, 4, 1), harm(2, 3, 1), harm(0, 0.0, 1)]
    assert mixed.sets(found) == [(3,), (1, 3), (1, 2, 3)]
    assert mixed.without_one((1, 2, 3)) == [(2, 3), (1, 3), (1, 2)]
    assert mixed.without_one((1,)) == []


def test_both_ends_of_an_activation_are_tried_together_and_cheap_sets_first() -> None:
    found = [harm(4, 1, 10), harm(2, 7, 200, after=1), harm(1, 8, 100), harm(0, 2, 500)]
    tried = mixed.sets(found)
    assert (1, 2) in tried
    prices = {4: 10, 2: 200, 1: 100, 0: 500}
    costs = [sum(prices[i] for i in layers) for layers in tried]
    assert costs == sorted(costs)


def test_only_ranges_that_clip_are_widened() -> None:
    found = [harm(0, 1, 1, 0.1), harm(1, 1, 1, 0.0), harm(2, 1, 1, 0.3)]
    assert mixed.widened(found, Recipe(calibration="mse")) == [(2,), (0, 2)]
    assert mixed.widened(found, Recipe()) == []


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(calibration="mse", repairs=("equalise",), int16=(0, 4), widened=(2,))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.name == "int8, mse, equalise, int16 in 0+4, wide in 2"


# ---- Processes ------------------------------------------------------------------------------


_DEADLY = """
import os, signal
from pathlib import Path

import numpy as np

def samples():
    mark = Path({mark!r})
    if {always} or not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    for _ in range(4):
        yield np.zeros((8, 8, 3), np.float32), 0
"""


@pytest.fixture(scope="module")
def network() -> bytes:
    require("ptq", "oracle")
    return badly_scaled.network(spread=12.0, first_only=True)


def reference_job(network: bytes, evaluation: str) -> Job:
    request = {
        "kind": trial.REFERENCE,
        "label": "made up",
        "evaluation": evaluation,
        "transform": "",
        "metric": None,
        "most": 10,
    }
    return Job(request, network)


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True])
def test_a_killed_trial_is_started_once_more(network: bytes, tmp_path: Path, always: bool) -> None:
    source = tmp_path / "deadly.py"
    source.write_text(_DEADLY.format(mark=str(tmp_path / "mark"), always=always))
    ended: list[int] = []
    job = reference_job(network, f"{source}:samples")
    found = Local(2).run([job], lambda number, finished: ended.append(number))
    assert ended == [0]
    if always:
        assert found[0].result["outcome"] == "killed"
        assert "killed twice by signal 9" in found[0].result["message"]
    else:
        assert found[0].result["outcome"] == "done"


@pytest.mark.slow
def test_a_failing_trial_says_why_and_others_go_on(network: bytes, tmp_path: Path) -> None:
    good = data_files(network, tmp_path)[1]
    jobs = [reference_job(network, str(tmp_path / "missing.npz")), reference_job(network, good)]
    found = Local(2).run(jobs, lambda number, finished: None)
    assert [f.result["outcome"] for f in found] == ["failed", "done"]
    assert "there is no" in found[0].result["message"]


# ---- The whole ------------------------------------------------------------------------------


def data_files(network: bytes, folder: Path) -> tuple[str, str]:
    paths = []
    for name, count, seed in (("calibration", 120, 0), ("evaluation", 60, 5)):
        samples = list(badly_scaled.data(network, count, seed))
        path = folder / f"{name}.npz"
        images = np.stack([s.inputs[0] for s in samples])
        np.savez(path, image=images, labels=np.array([s.label for s in samples]))
        paths.append(str(path))
    return paths[0], paths[1]


class InProcess:
    """Runs trials here, one after another, and counts them."""

    def __init__(self, folder: Path, stop_after: int | None = None) -> None:
        self.folder = folder
        self.ran = 0
        self.stop_after = stop_after

    def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]:
        found = []
        for number, job in enumerate(jobs):
            if self.ran == self.stop_after:
                raise KeyboardInterrupt
            own = self.folder / f"trial{self.ran}"
            own.mkdir(parents=True)
            (own / trial.JOB).write_text(json.dumps(job.request))
            (own / trial.FLOAT).write_bytes(job.model)
            trial.run(own)
            out = own / trial.OUT
            content = out.read_bytes() if out.exists() else b""
            found.append(Finished(json.loads((own / trial.RESULT).read_bytes()), content))
            self.ran += 1
            done(number, found[-1])
        return found


@pytest.fixture(scope="module")
def request_(network: bytes, tmp_path_factory: pytest.TempPathFactory) -> SearchRequest:
    folder = tmp_path_factory.mktemp("search")
    data, evaluation = data_files(network, folder)
    return SearchRequest(
        model=network,
        name="made_up.tflite",
        data=data,
        evaluation=evaluation,
        board=BOARD,
        folder=folder / "work",
        max_drop=0.12,
        repairs=(),
        trials=24,
        cache=folder / "cache",
    )


@pytest.fixture(scope="module")
def found(request_: SearchRequest) -> tuple[Search, bytes]:
    require("unicorn")
    return search(request_, Local(max(2, os.cpu_count() or 1)))


@pytest.mark.slow
@pytest.mark.toolchain
def test_without_repairs_int16_for_two_layers_is_found(found: tuple[Search, bytes]) -> None:
    result, content = found
    assert result.float_quality == 1.0
    int8 = result.points[0]
    assert int8.quality is not None
    assert int8.quality < result.limit
    assert result.chosen is not None
    taken = result.points[result.chosen]
    assert tuple(taken.recipe["int16"]) == (0, 1)
    assert taken.quality is not None
    assert taken.quality >= result.limit
    whole = next(p for p in result.points if p.stage == "int16")
    assert taken.instructions is not None
    assert whole.instructions is not None
    assert taken.instructions < whole.instructions
    assert taken.verified
    assert len(content) == taken.file_bytes
    described = read_metadata(content)
    assert described["recipe"] == taken.name
    assert len(described["data_sha256"]) == len(described["source_sha256"]) == 64
    worst = sorted(result.harms, key=lambda h: -h.alone)
    assert {h.index for h in worst[:2]} == {0, 1}


@pytest.mark.slow
@pytest.mark.toolchain
def test_a_repair_makes_int16_unnecessary(request_: SearchRequest, tmp_path: Path) -> None:
    request = replace(request_, repairs=("equalise",), folder=tmp_path, trials=8)
    result, _ = search(request, Local(2))
    assert result.chosen is not None
    taken = result.points[result.chosen]
    assert taken.recipe["repairs"] == ["equalise"]
    assert taken.recipe["int16"] == []


@pytest.mark.slow
@pytest.mark.toolchain
def test_one_process_two_processes_and_an_interruption_give_the_same(
    request_: SearchRequest, tmp_path: Path
) -> None:
    short = replace(request_, trials=6, max_drop=0.9)
    two, content = search(replace(short, folder=tmp_path / "two"), Local(2))
    again = replace(short, folder=tmp_path / "resumed")
    with pytest.raises(KeyboardInterrupt):
        search(again, InProcess(tmp_path / "first", stop_after=4))
    rest = InProcess(tmp_path / "second")
    resumed, same = search(again, rest)
    assert to_json(resumed) == to_json(two)
    assert same == content
    assert rest.ran == 1 + 6 - 4  # the float model's job, and six trials
    nothing = InProcess(tmp_path / "third")
    search(again, nothing)
    assert nothing.ran == 0


@pytest.mark.slow
@pytest.mark.toolchain
def test_a_cluster_gives_the_same(request_: SearchRequest, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    from tinydeploy.quantize.search import Cluster

    short = replace(request_, trials=3, max_drop=0.9)
    here, content = search(replace(short, folder=tmp_path / "here"), Local(2))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        there, same = search(
            replace(short, folder=tmp_path / "there"), Cluster(cluster.scheduler_address)
        )
    assert to_json(there) == to_json(here)
    assert same == content


def test_no_scheduler_is_an_error_with_a_hint() -> None:
    pytest.importorskip("distributed")
    from tinydeploy.quantize.search import Cluster

    with pytest.raises(RequestError, match="no Dask scheduler answers at nowhere"):
        Cluster("nowhere").run([Job({}, b"")], lambda number, finished: None)


@pytest.mark.slow
@pytest.mark.toolchain
def test_pictures_and_json(found: tuple[Search, bytes], tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    result, _ = found
    drawing = ET.fromstring(pareto.svg(result))
    assert drawing.tag.endswith("svg")
    text = pareto.svg(result)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert json.loads(to_json(result))["chosen"] == result.chosen
    if pareto.has_matplotlib():
        pareto.write_png(result, tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_search_in_which_nothing_works_ends_in_a_sentence(network: bytes, tmp_path: Path) -> None:
    class Broken:
        def run(self, jobs: Sequence[Job], done: Done) -> list[Finished]:  # noqa: ARG002
            message = {"outcome": "failed", "message": "the disk is full", "hint": "make room"}
            return [Finished(message, b"") for _ in jobs]

    request = SearchRequest(network, "x.tflite", "a.npz", "b.npz", BOARD, tmp_path, max_drop=0.01)
    with pytest.raises(InputError, match="the disk is full"):
        search(request, Broken())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RequestError("LiteRT is not installed", "pip install it"), "crashed"),
        (DoesNotFit("too large"), "failed"),
        (InputError("damaged"), "failed"),
    ],
)
def test_only_what_stays_wrong_is_remembered(
    error: TinydeployError, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing today may be installed tomorrow."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(trial, "_KINDS", {trial.TRIAL: fails})
    (tmp_path / trial.JOB).write_text(json.dumps({"kind": trial.TRIAL}))
    trial.run(tmp_path)
    result = json.loads((tmp_path / trial.RESULT).read_text())
    assert result == {"outcome": outcome, "message": error.message, "hint": error.hint}
