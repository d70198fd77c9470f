"""Pages: well-formed, self-contained, and safe whatever a model calls its tensors."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.unit.test_report import ALL, HOSTILE, VERIFIED
from tinydeploy.report import html, pictures
from tinydeploy.report.evaluation import (
    ClassResult,
    Comparison,
    DeviceRun,
    Estimate,
    Evaluation,
    Histogram,
    Metric,
    ModelResult,
)
from tinydeploy.report.pictures import Point
from tinydeploy.report.report import Block, LeftOut, Model, Report, Tool

NASTY = HOSTILE + "<script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}' onclick='"
ARENA = (
    Block(NASTY, "activation", 0, 64, -1, 0),
    Block("b", "activation", 64, 1024, 0, 2),
    Block("b again", "activation", 64, 1024, 0, 2),
    Block("", "scratch", 1088, 32, 2, 2),
    Block("out", "activation", 0, 10, 2, 3),
)
SHARE = Estimate(0.98, 0.96, 0.99)


def _model(name: str, device: bool) -> ModelResult:
    run = DeviceRun(
        "nucleo", Tool("unicorn", "2"), 450, 449, Tool("tflite-micro", "0"), "instructions", 9, 0
    )
    return ModelResult(
        path=f"{name}.tflite",
        name=name,
        sha256="ab" * 32,
        size_bytes=15_000,
        numbers="int8",
        engine=Tool("tflite-micro", "0.dev1"),
        metrics=(Metric("accuracy", "accuracy", SHARE, True, True),),
        classes=(
            ClassResult(NASTY, 20, SHARE, 0.9, 0.9),
            ClassResult("b", 0, None, None, 0.0),
        ),
        confusion=((19, 1), (0, 0)),
        device=run if device else None,
        warnings=(f"input {NASTY} runs off",),
        histograms=(
            Histogram(NASTY, "weights", (0, 3, 9, 1), -1.0, 2.0, -0.9, 1.5, 0.01),
            Histogram("flat", "activations", (0,), 0.0, 0.0, None, None, 0.0),
        ),
    )


EVALUATION = Evaluation(
    tool=Tool("tinydeploy", "0"),
    data=NASTY,
    samples=20,
    task="classification",
    confidence=0.95,
    labels=(NASTY, "b"),
    models=(_model("before", False), _model(NASTY, True)),
    comparisons=(
        Comparison("before", NASTY, "accuracy", Estimate(-0.1, -0.2, -0.05), "McNemar", 1e-9,
                   True, 9, 1),
    ),
    warnings=("few samples",),
)  # fmt: skip
POINTS = (
    Point("float", 0.99, 60_000, 9_000, None, baseline=True),
    Point(NASTY, 0.985, 20_000, 5_000, 100_000, chosen=True),
    Point("c", 0.97, 18_000, 5_000, 120_000),
    Point("d", 0.95, 25_000, 7_000, 130_000),
)


class _Page(HTMLParser):
    """Checks nesting and collects elements."""

    _VOID = frozenset({"meta", "br"})
    _SVG = frozenset({"rect", "line", "path", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self._VOID and tag not in self._SVG:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # Circles and rectangles with a title are closed by a tag of their own.
        if tag in self._SVG:
            return
        assert self.open.pop() == tag


def _pages() -> dict[str, str]:
    hostile = dataclasses.replace(
        VERIFIED,
        model=Model(NASTY, "00", NASTY),
        board=NASTY,
        error=NASTY,
        arena=ARENA,
        layers=tuple(dataclasses.replace(v, name=NASTY, op=NASTY) for v in VERIFIED.layers),
    )
    return {
        **{f"report {report.outcome}": html.report_page(report) for report in ALL},
        "hostile": html.report_page(hostile),
        "evaluation": html.evaluation_page(EVALUATION),
        "search": html.search_page("digits", NASTY, POINTS, "because " + NASTY),
    }


PAGES = _pages()


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_well_formed_and_load_nothing(name: str) -> None:
    page = _Page(PAGES[name])
    tags = {tag for tag, _ in page.tags}
    assert {"html", "head", "title", "body", "style"} <= tags
    assert not tags & {"script", "img", "link", "iframe", "object", "a", "form", "base"}
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
        assert not set(attributes) & {"src", "href", "srcdoc", "action"}
    assert "url(" not in PAGES[name]
    assert "@import" not in PAGES[name]
    assert "default-src 'none'" in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_names_are_only_text(name: str) -> None:
    page = PAGES[name]
    assert "<script" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", page)
    page.encode("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_numbers_are_finite(name: str) -> None:
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', PAGES[name])


def test_what_a_report_says_is_on_its_page() -> None:
    page = html.report_page(dataclasses.replace(VERIFIED, arena=ARENA))
    for text in (
        "digits_int8",
        "bit-exact",
        "412 k",
        "13 KiB",
        "99.3%",
        "8 of 8 inputs",
        "SOFTMAX",
    ):
        assert text in page
    assert "RAM plan" in page


def test_dead_channels_are_on_its_page() -> None:
    left_out = LeftOut(channels=2160, of_channels=3252, macs=3_723_188, weights_bytes=184_556)
    page = html.report_page(dataclasses.replace(VERIFIED, left_out=left_out))
    assert "dead channels of 3,252 left out" in page
    assert "dead channels" not in html.report_page(VERIFIED)


def test_what_an_evaluation_says_is_on_its_page() -> None:
    page = PAGES["evaluation"]
    for text in (
        "98.0%",
        "-10.0 points",
        "significant",
        "449",
        "nucleo",
        "few samples",
        "Confusion",
    ):
        assert text in page


def test_an_evaluation_without_classes() -> None:
    models = tuple(
        dataclasses.replace(
            m, classes=(), confusion=(), histograms=(),
            metrics=(Metric("mse", "MSE", Estimate(0.5, math.nan, math.nan), False, False),),
        )
        for m in EVALUATION.models
    )  # fmt: skip
    page = html.evaluation_page(
        dataclasses.replace(EVALUATION, labels=(), models=models, comparisons=(), task="regression")
    )
    _Page(page)
    assert "Confusion" not in page


def test_many_classes_are_no_table() -> None:
    count = 200
    names = tuple(f"c{i}" for i in range(count))
    rows = tuple(ClassResult(n, 1, SHARE, 1.0, 1.0) for n in names)
    matrix = tuple(tuple(int(i == j) for j in range(count)) for i in range(count))
    model = dataclasses.replace(EVALUATION.models[0], classes=rows, confusion=matrix)
    page = html.evaluation_page(
        dataclasses.replace(EVALUATION, labels=names, models=(model,), comparisons=())
    )
    assert len(page) < 100_000


def test_the_ram_plan_is_drawn_to_scale() -> None:
    plan = pictures.ram_plan(dataclasses.replace(VERIFIED, arena=ARENA))
    assert plan is not None
    assert len(plan.boxes) == 4  # the alias is not drawn twice
    big = max(plan.boxes, key=lambda box: box.height)
    assert big.label == "1 KiB"
    for box in plan.boxes:
        assert 0 <= box.x <= box.x + box.width <= plan.width
        assert 0 <= box.y <= box.y + box.height <= plan.bottom + 2
    assert pictures.ram_plan(VERIFIED) is None


def test_the_front_is_what_nobody_beats() -> None:
    flash, ram, instructions = pictures.fronts(POINTS)
    assert [dot.look for dot in flash.dots] == ["base", "chosen", "best", "other"]
    assert flash.path.count("L") == 4  # two steps between three points
    assert [front.cost for front in (flash, ram, instructions)] == ["flash", "RAM", "instructions"]
    assert pictures.fronts(POINTS[:1]) == ()
    same = [Point("a", 0.5, 1000), Point("b", 0.5, 1000)]
    _Page(html.search_page("t", "s", same))


@pytest.mark.parametrize(
    ("value", "text"), [(999, "999"), (3_582_663, "3.58 M"), (200_586, "201 k"), (5e9, "5 G")]
)
def test_large_numbers_are_short(value: float, text: str) -> None:
    assert pictures.short(value) == text


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    html.write(VERIFIED, path)
    assert path.read_text("utf-8") == html.report_page(VERIFIED)
    assert isinstance(VERIFIED, Report)
