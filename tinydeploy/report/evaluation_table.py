"""Views of an `Evaluation` in the terminal: models side by side, classes, what differs."""

from __future__ import annotations

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .evaluation import Comparison, Evaluation, Metric, ModelResult
from .terminal import BAD, GOOD, SOFT, STRONG, Signs, indented, printable, signs, size, table

_MOST_CLASSES = 30


def print_evaluation(evaluation: Evaluation, to: Console) -> None:
    """Models side by side, then what is known of their difference."""
    sign = signs(to)
    title = Text(f"{evaluation.samples:,} samples", STRONG)
    title.append(f" of {printable(evaluation.data)}", SOFT)
    title.append(f", {evaluation.confidence:.0%} confidence", SOFT)
    to.print(title)
    to.print(indented(_models(evaluation, sign), above=1))
    if evaluation.labels and len(evaluation.labels) <= _MOST_CLASSES:
        to.print(indented(_classes(evaluation, sign), above=1))
    told = [_compared(evaluation, c) for c in evaluation.comparisons]
    told += [_device(model, sign) for model in evaluation.models if model.device]
    told += [
        Text(
            f"{printable(model.name)} was computed by {model.engine.name}, not on the device", SOFT
        )
        for model in evaluation.models
        if not model.device and any(m.device for m in evaluation.models)
    ]
    told += [Text(f"note: {printable(text, 240)}", "yellow") for text in _warnings(evaluation)]
    if told:
        to.print(indented(Group(*told), above=1))


def figure(metric: Metric, value: float) -> str:
    """A metric's value for people: "98.2%" or "0.0123"."""
    return f"{value:.1%}" if metric.share else f"{value:.4g}"


def difference(metric: Metric, value: float) -> str:
    """A change for people: "-0.4 points" or "+0.0012"."""
    return f"{100 * value:+.1f} points" if metric.share else f"{value:+.3g}"


def _models(evaluation: Evaluation, sign: Signs) -> Table:
    heads = ("model", *(m.title for m in evaluation.models[0].metrics))
    made = table(sign, *heads, left=("model",), wrap="model")
    for model in evaluation.models:
        by = model.device.runner if model.device else model.engine
        facts = f"\n{model.numbers}, {size(model.size_bytes)}, run by {by.name}"
        name = Text(printable(model.name), STRONG).append(facts, SOFT)
        made.add_row(name, *(_estimate(metric, sign) for metric in model.metrics))
    return made


def _estimate(metric: Metric, sign: Signs) -> Text:
    e = metric.estimate
    text = Text(figure(metric, e.value))
    scale = 100 if metric.share else 1
    form = "{:.1f}" if metric.share else "{:.3g}"
    between = f"{form.format(e.low * scale)}{sign.dash}{form.format(e.high * scale)}"
    return text.append(f"\n{between}", SOFT)


def _classes(evaluation: Evaluation, sign: Signs) -> Table:
    names = [printable(m.name, 20) for m in evaluation.models]
    heads = ["class", "samples", *names, *([""] if len(names) > 1 else [])]
    made = table(sign, *heads, left=("class",))
    for index, label in enumerate(evaluation.labels):
        rows = [model.classes[index] for model in evaluation.models]
        cells = [Text(printable(label, 30)), Text(f"{rows[0].samples:,}", SOFT)]
        for row in rows:
            recall = row.recall
            if recall is None:
                cells.append(Text(sign.dash, SOFT))
                continue
            cells.append(
                Text(f"{recall.value:.1%}").append(
                    f"  {100 * recall.low:.0f} to {100 * recall.high:.0f}", SOFT
                )
            )
        first, last = rows[0].recall, rows[-1].recall
        if len(rows) > 1:
            change = last.value - first.value if first and last else 0.0
            style = SOFT if not change else GOOD if change > 0 else BAD
            cells.append(Text(f"{100 * change:+.1f}" if change else "", style))
        made.add_row(*cells)
    return made


def _compared(evaluation: Evaluation, comparison: Comparison) -> Text:
    metric = next(m for m in evaluation.models[0].metrics if m.name == comparison.metric)
    better = (comparison.difference.value > 0) == metric.higher_is_better
    text = Text(f"{printable(comparison.after)}: ", STRONG)
    text.append(difference(metric, comparison.difference.value))
    text.append(f" of {metric.title} against {printable(comparison.before)}", SOFT)
    if comparison.significant:
        text.append("; significant", GOOD if better else BAD)
    else:
        text.append("; no more than chance")
    text.append(f" ({proof(comparison)})", SOFT)
    return text


def proof(comparison: Comparison) -> str:
    """How a difference was tested: "McNemar p = 0.5, 1 against 3 samples"."""
    if comparison.p_value is None:
        d = comparison.difference
        return f"{comparison.test}, {d.low:+.3g} to {d.high:+.3g}"
    p = comparison.p_value
    shown = f"{p:.2g}" if p >= 1e-4 else "under 0.0001"
    return (
        f"{comparison.test} p {'= ' if p >= 1e-4 else ''}{shown}: "
        f"{comparison.only_before} right only before, {comparison.only_after} only after"
    )


def _device(model: ModelResult, sign: Signs) -> Text:
    run = model.device
    assert run is not None
    equal = run.equal == run.inferences
    text = Text(f"{sign.good if equal else sign.bad} ", GOOD if equal else BAD)
    where = f"{run.board} in {run.runner.name}" if run.board != "host" else "this machine"
    text.append(f"{printable(model.name)} ran on {where}: {run.equal:,} of {run.inferences:,} ")
    text.append(f"inferences equal to {run.oracle.name}, bit for bit")
    if run.inference:
        text.append(f"; {run.inference:,} {run.counter} at most", SOFT)
    return text


def _warnings(evaluation: Evaluation) -> list[str]:
    return [
        *evaluation.warnings,
        *(f"{model.name}: {text}" for model in evaluation.models for text in model.warnings),
    ]
