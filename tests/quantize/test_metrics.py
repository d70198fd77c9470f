"""Metrics against scikit-learn and SciPy, on random data with ties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinydeploy.quantize import metrics

sklearn_metrics = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")

SEEDS = range(5)


def _scores(seed: int, classes: int = 5, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Random softmax rows, quantised like int8 outputs so that ties are common."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.standard_normal((n, classes)) + 1.2 * np.eye(classes)[labels]
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.round(share * 32) / 32, labels


@pytest.mark.parametrize("seed", SEEDS)
def test_confusion_and_f1(seed: int) -> None:
    scores, labels = _scores(seed)
    answers = metrics.guesses(scores)
    matrix = metrics.confusion(labels, answers, 5)
    assert np.array_equal(matrix, sklearn_metrics.confusion_matrix(labels, answers))
    each = sklearn_metrics.f1_score(labels, answers, average=None)
    assert np.allclose(metrics.f1_scores(matrix), each)
    assert math.isclose(metrics.macro_f1(matrix), each.mean())


def test_f1_of_classes_that_are_missing() -> None:
    labels, answers = np.array([0, 0, 1, 1]), np.array([0, 3, 1, 1])
    matrix = metrics.confusion(labels, answers, 5)
    ours = metrics.macro_f1(matrix)  # over the classes that occur, as scikit-learn does
    assert math.isclose(
        ours, sklearn_metrics.f1_score(labels, answers, average="macro", zero_division=0)
    )
    rows = metrics.per_class(matrix, tuple("abcde"))
    assert rows[2].recall is None
    assert rows[2].precision is None
    assert rows[3].precision == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_auc(seed: int) -> None:
    scores, labels = _scores(seed)
    expected = sklearn_metrics.roc_auc_score(labels == 2, scores[:, 2])
    assert math.isclose(metrics.roc_auc(scores[:, 2], labels == 2), expected)
    rows = scores + 1e-9
    rows /= rows.sum(axis=1, keepdims=True)
    expected = sklearn_metrics.roc_auc_score(labels, rows, multi_class="ovr", average="macro")
    assert math.isclose(metrics.multiclass_auc(rows, labels), expected)


def test_auc_needs_both_kinds() -> None:
    assert math.isnan(metrics.roc_auc(np.arange(4.0), np.ones(4)))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k(k: int) -> None:
    rng = np.random.default_rng(7)
    scores, labels = rng.standard_normal((300, 6)), rng.integers(0, 6, 300)
    share = metrics.in_top(scores, labels, k).mean()
    assert math.isclose(share, sklearn_metrics.top_k_accuracy_score(labels, scores, k=k))


def test_top_1_is_the_guess_even_with_ties() -> None:
    scores, labels = _scores(1)
    right = metrics.guesses(scores) == labels
    assert np.array_equal(metrics.in_top(scores, labels, 1), right)


@pytest.mark.parametrize(("right", "of"), [(0, 10), (10, 10), (447, 450), (1, 3), (50, 100)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson(right: int, of: int, confidence: float) -> None:
    ours = metrics.wilson(right, of, confidence)
    theirs = stats.binomtest(right, of).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.value <= ours.high


def test_wilson_of_nothing() -> None:
    assert math.isnan(metrics.wilson(0, 0).value)


@pytest.mark.parametrize(
    ("b", "c"), [(0, 0), (0, 1), (5, 5), (1, 9), (30, 3), (400, 501), (9000, 9500)]
)
def test_mcnemar(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert metrics.mcnemar(b, c) == pytest.approx(expected, rel=1e-6)
    assert metrics.mcnemar(b, c) == metrics.mcnemar(c, b)


def test_bootstrap_holds_the_mean_and_never_changes() -> None:
    values = np.random.default_rng(3).exponential(2.0, 400)
    first, second = (metrics.bootstrap(lambda i: float(values[i].mean()), 400) for _ in "ab")
    assert first == second
    assert first.value == values.mean()
    error = values.std() / 20
    assert first.low == pytest.approx(values.mean() - 1.96 * error, rel=0.05)
    assert first.high == pytest.approx(values.mean() + 1.96 * error, rel=0.05)


def test_bootstrap_passes_over_what_cannot_be_computed() -> None:
    scores, positive = np.array([0.1, 0.2, 0.9]), np.array([False, False, True])
    found = metrics.bootstrap(lambda i: metrics.roc_auc(scores[i], positive[i]), 3)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_strata_keep_their_size() -> None:
    classes = np.array([0] * 5 + [1] * 90 + [2])
    seen = []

    def statistic(drawn: np.ndarray) -> float:
        seen.append(np.bincount(classes[drawn]).tolist())
        return float(drawn.mean())

    metrics.bootstrap(statistic, 96, strata=classes[::-1])
    assert seen[1:].count([5, 90, 1]) < len(seen) - 1
    seen.clear()
    metrics.bootstrap(statistic, 96, strata=classes)
    assert all(sizes == [5, 90, 1] for sizes in seen)


def test_wilson_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    found = [metrics.wilson(int(n), 60) for n in rng.binomial(60, 0.93, 2000)]
    assert np.mean([e.low <= 0.93 <= e.high for e in found]) == pytest.approx(0.95, abs=0.025)
