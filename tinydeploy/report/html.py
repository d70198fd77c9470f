"""One self-contained page of a report, an evaluation or a search: no script, nothing to load.

Names in it come from models and users. They are escaped by the template engine, and what cannot
be shown is spelled out, in one place: `_environment()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .. import __version__
from ..files import write_whole
from . import pictures
from .cost_table import cycles_text, share, time_text
from .evaluation import Comparison, Estimate, Evaluation, Metric
from .evaluation_table import difference, figure, proof
from .junit import describe
from .report import Memory, Report
from .table import short_kernel, short_version
from .terminal import printable, size

_TEMPLATE = "page.html.j2"
_LONGEST_TEXT = 400
# More classes than these are no picture, and more than those have no room for numbers.
_MOST_CLASSES = 64
_MOST_NUMBERED = 20


def report_page(report: Report) -> str:
    """The page of a build or a proof."""
    return _page(
        title=report.model.name,
        subtitle=f"on {report.board}",
        report=report,
    )


def write(report: Report, path: Path) -> None:
    """Writes the page of a report, whole or not at all."""
    write_whole(path, report_page(report), "--html")


def evaluation_page(evaluation: Evaluation) -> str:
    """The page of an evaluation."""
    names = " and ".join(model.name for model in evaluation.models)
    return _page(title=names, subtitle=f"on {evaluation.data}", evaluation=evaluation)


def search_page(
    title: str, subtitle: str, points: Sequence[pictures.Point], reason: str = ""
) -> str:
    """The page of a search.

    Args:
        title, subtitle: What was searched, and where.
        points: All candidates.
        reason: Why the chosen one was chosen, a sentence.
    """
    return _page(title=title, subtitle=subtitle, points=tuple(points), reason=reason)


def _page(
    *,
    title: str,
    subtitle: str,
    report: Report | None = None,
    evaluation: Evaluation | None = None,
    points: tuple[pictures.Point, ...] = (),
    reason: str = "",
) -> str:
    context: dict[str, Any] = {"title": title, "subtitle": subtitle, "version": __version__}
    context["report"] = report and _report_view(report)
    context["evaluation"] = evaluation and _evaluation_view(evaluation)
    context["points"] = points
    context["fronts"] = pictures.fronts(points)
    context["reason"] = reason
    return _environment().get_template(_TEMPLATE).render(context)


def _environment() -> jinja2.Environment:
    source = (files(__package__) / _TEMPLATE).read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({_TEMPLATE: source}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        size=size,
        short=pictures.short,
        count=lambda value: f"{value:,}",
        px=lambda value: f"{value:.2f}".rstrip("0").rstrip("."),
        percent=lambda value, digits=1: f"{100 * value:.{digits}f}%",
        cut=lambda text, limit: printable(text, limit),
    )
    return environment


def _shown(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value, _LONGEST_TEXT)
    return value


@dataclass(frozen=True)
class _Gauge:
    """How much of something is taken, and by what."""

    name: str
    taken: int
    given: int | None
    parts: tuple[tuple[str, str, int], ...]

    @property
    def whole(self) -> int:
        return max(self.taken, self.given or 0) or 1

    @property
    def share(self) -> float | None:
        return self.taken / self.given if self.given else None


def _gauges(memory: Memory) -> tuple[_Gauge, ...]:
    made = []
    if memory.ram_bytes is not None:
        rest = memory.ram_bytes - memory.arena_bytes
        parts = (("arena", "c0", memory.arena_bytes), ("data and stack", "c1", rest))
        made.append(_Gauge("RAM", memory.ram_bytes, memory.board_ram_bytes, parts))
    if memory.flash_bytes is not None:
        parts = (
            ("weights", "c2", memory.weights_bytes),
            ("code", "c3", memory.flash_bytes - memory.weights_bytes),
        )
        made.append(_Gauge("flash", memory.flash_bytes, memory.board_flash_bytes, parts))
    return tuple(made)


def _report_view(report: Report) -> Mapping[str, Any]:
    verify = report.verify
    outcomes = {
        "built": ("", "built"),
        "verified": ("good", "bit-exact"),
        "differs": ("bad", "differs"),
        "does-not-fit": ("bad", "does not fit"),
        "build-error": ("bad", "build failed"),
        "device-error": ("bad", "device failed"),
    }
    look, word = outcomes[report.outcome]
    total = sum(layer.instructions or 0 for layer in report.layers)
    macs = sum(layer.macs for layer in report.layers)
    most = max((layer.instructions or 0 for layer in report.layers), default=0)
    return {
        "it": report,
        "look": look,
        "word": word,
        "gauges": _gauges(report.memory) if report.memory else (),
        "plan": pictures.ram_plan(report),
        "total": total,
        "macs": macs,
        "most": most or 1,
        "unit": report.instructions.counter,
        "cycles": cycles_text(report.timing) if report.timing else "",
        "time": time_text(report.timing) if report.timing else "",
        "shares": [share(layer, report) for layer in report.layers],
        "kernels": [short_kernel(layer) for layer in report.layers],
        "difference": describe(verify.first_difference)
        if verify and verify.first_difference
        else "",
        "toolchain": f"{report.toolchain.name} {short_version(report.toolchain.version)}"
        if report.toolchain
        else "",
    }


def _evaluation_view(evaluation: Evaluation) -> Mapping[str, Any]:
    first = evaluation.models[0]
    classes = [[m.classes[i] for m in evaluation.models] for i in range(len(evaluation.labels))]
    recalls = [c.recall for row in classes for c in row if c.recall]
    return {
        "it": evaluation,
        "metrics": [_metric_view(evaluation, i) for i in range(len(first.metrics))],
        "comparisons": [_comparison_view(evaluation, c) for c in evaluation.comparisons],
        "classes": classes if len(classes) <= _MOST_CLASSES else [],
        "class_scale": pictures.scale_of(recalls, share=True),
        "long_labels": max(map(len, evaluation.labels), default=0) > 3,
        "numbered": len(evaluation.labels) <= _MOST_NUMBERED,
        "matrices": 0 < len(evaluation.labels) <= _MOST_CLASSES,
        "histograms": [(m, kind, [(h, pictures.bars(h)) for h in m.histograms if h.kind == kind])
                       for m in evaluation.models for kind in ("weights", "activations")
                       if any(h.kind == kind for h in m.histograms)],
    }  # fmt: skip


@dataclass(frozen=True)
class _Row:
    model: str
    value: str
    interval: str
    span: pictures.Span


@dataclass(frozen=True)
class _MetricView:
    title: str
    low: str
    high: str
    rows: tuple[_Row, ...]


def _metric_view(evaluation: Evaluation, index: int) -> _MetricView:
    metrics = [model.metrics[index] for model in evaluation.models]
    scale = pictures.scale_of([m.estimate for m in metrics], share=metrics[0].share)
    rows = tuple(
        _Row(
            model.name,
            figure(metric, metric.estimate.value),
            _interval(metric, metric.estimate),
            scale.span(metric.estimate),
        )
        for model, metric in zip(evaluation.models, metrics, strict=True)
    )
    low, high = figure(metrics[0], scale.low), figure(metrics[0], scale.high)
    return _MetricView(metrics[0].title, low, high, rows)


def _interval(metric: Metric, estimate: Estimate) -> str:
    return f"{figure(metric, estimate.low)} to {figure(metric, estimate.high)}"


def _comparison_view(evaluation: Evaluation, comparison: Comparison) -> Mapping[str, Any]:
    metric = next(m for m in evaluation.models[0].metrics if m.name == comparison.metric)
    better = (comparison.difference.value > 0) == metric.higher_is_better
    look = ("good" if better else "bad") if comparison.significant else ""
    low, high = comparison.difference.low, comparison.difference.high
    return {
        "it": comparison,
        "look": look,
        "metric": metric.title,
        "difference": difference(metric, comparison.difference.value),
        "interval": f"{difference(metric, low)} to {difference(metric, high)}",
        "verdict": "significant" if comparison.significant else "no more than chance",
        "proof": proof(comparison),
    }
