"""How good answers are, with confidence intervals; NumPy only.

Every figure is of a sample of the world: proportions carry Wilson's interval, everything else a
percentile bootstrap with a fixed seed, so that the same answers give the same report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..graph import Array
from ..report.evaluation import ClassResult, Estimate

CONFIDENCE = 0.95
_SEED = 20_240_229
_RESAMPLES = 1000
# So many drawn samples in all: beyond, fewer resamples, whose intervals are narrow anyway.
_MOST_DRAWN = 2_000_000
_LEAST_RESAMPLES = 200

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
# A statistic of the samples with these numbers, drawn with repetition.
Statistic = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True)
class Kind:
    """A metric.

    Attributes:
        title: For people.
        share: A share of one, shown in per cent.
        higher_is_better: Which way it improves.
    """

    title: str
    share: bool
    higher_is_better: bool


# F1 is the mean over classes; AUC that under ROC, each class against the others.
METRICS = {
    "accuracy": Kind("accuracy", True, True),
    "f1": Kind("F1", True, True),
    "auc": Kind("AUC", True, True),
    "mse": Kind("MSE", False, False),
    "mae": Kind("MAE", False, False),
}


def wilson(right: int, of: int, confidence: float = CONFIDENCE) -> Estimate:
    """A proportion with Wilson's score interval.

    Source:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if of == 0:
        return Estimate(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # At the ends the exact interval touches them; rounding must not move it off the value.
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def bootstrap(
    statistic: Statistic,
    samples: int,
    confidence: float = CONFIDENCE,
    strata: Array | None = None,
) -> Estimate:
    """A statistic with its percentile bootstrap interval; the same on every run.

    Args:
        statistic: Of drawn samples.
        samples: How many there are.
        confidence: Of the interval.
        strata: [samples] classes that keep their size in every draw, for statistics that a class
            without samples would change.
    """
    value = statistic(np.arange(samples))
    rng = np.random.default_rng(_SEED)
    count = min(_RESAMPLES, max(_LEAST_RESAMPLES, _MOST_DRAWN // max(samples, 1)))
    _, place, sizes = np.unique(
        np.zeros(samples) if strata is None else strata, return_inverse=True, return_counts=True
    )
    order = np.argsort(place, kind="stable")
    # Sample i of the sorted ones is replaced by any of its own class.
    size = np.repeat(sizes, sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)

    def draw() -> NDArray[np.intp]:
        chosen: NDArray[np.intp] = order[first + rng.integers(0, size)]
        return chosen

    drawn = np.array([statistic(draw()) for _ in range(count)])
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return Estimate(value, math.nan, math.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def guesses(scores: Array) -> NDArray[np.intp]:
    """The class that each row answers: the first of the largest, as firmware would choose.

    Args:
        scores: [N, classes]; with one column, the probability of class 1.
    """
    if scores.shape[1] == 1:
        above: NDArray[np.intp] = (scores[:, 0] > 0.5).astype(np.intp)
        return above
    largest: NDArray[np.intp] = np.argmax(scores, axis=1)
    return largest


def in_top(scores: Array, labels: Array, k: int) -> Bools:
    """Whether each label is among its row's `k` largest; of equal ones the first counts first."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    before = (scores > own) | ((scores == own) & earlier)
    found: Bools = before.sum(axis=1) < k
    return found


def confusion(labels: Array, answers: Array, classes: int) -> NDArray[np.int64]:
    """Counts, [label, answer]."""
    pairs = np.bincount(labels * classes + answers, minlength=classes * classes)
    return pairs.reshape(classes, classes).astype(np.int64)


def f1_scores(matrix: Array) -> Floats:
    """F1 of each class; 0 where neither the label nor the answer ever occurs."""
    right = np.diag(matrix).astype(np.float64)
    seen = matrix.sum(axis=0) + matrix.sum(axis=1)
    result: Floats = np.divide(2 * right, seen, out=np.zeros_like(right), where=seen > 0)
    return result


def macro_f1(matrix: Array) -> float:
    """The mean of F1 over the classes that occur, as label or as answer."""
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(f1_scores(matrix)[occurs].mean()) if occurs.any() else math.nan


def per_class(
    matrix: Array, names: tuple[str, ...], confidence: float = CONFIDENCE
) -> tuple[ClassResult, ...]:
    """A row a class of a confusion matrix."""
    f1 = f1_scores(matrix)
    found = []
    for index, name in enumerate(names):
        right, of, called = (
            int(matrix[index, index]),
            int(matrix[index].sum()),
            int(matrix[:, index].sum()),
        )
        found.append(
            ClassResult(
                name=name,
                samples=of,
                recall=wilson(right, of, confidence) if of else None,
                precision=right / called if called else None,
                f1=float(f1[index]),
            )
        )
    return tuple(found)


def roc_auc(scores: Array, positive: Array) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Args:
        scores: [N], higher means positive.
        positive: [N] bool.

    Returns:
        NaN when one of the two kinds is missing.

    Source:
        Mann and Whitney's U; T. Fawcett, An introduction to ROC analysis (2006).
    """
    positive = positive.astype(bool)
    n1 = int(positive.sum())
    n0 = positive.size - n1
    if n0 == 0 or n1 == 0:
        return math.nan
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]  # tied ones share the mean of their ranks, from 1
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def multiclass_auc(scores: Array, labels: Array) -> float:
    """`roc_auc` of each class against the others, mean over the classes that occur.

    With one column, or two, it is that of class 1.
    """
    columns = scores.shape[1]
    if columns <= 2:
        return roc_auc(scores[:, -1], labels == 1)
    each = [roc_auc(scores[:, c], labels == c) for c in range(columns) if np.any(labels == c)]
    return float(np.mean(each)) if each else math.nan


def mcnemar(only_before: int, only_after: int) -> float:
    """The exact two-sided p-value of two classifiers being equally often right.

    Args:
        only_before, only_after: Samples that only one of the two has right.

    Source:
        Q. McNemar, Note on the sampling error of the difference between correlated proportions
        (1947), with the binomial in place of its approximation.
    """
    n, least = only_before + only_after, min(only_before, only_after)
    if n == 0:
        return 1.0
    k = np.arange(least + 1, dtype=np.float64)
    steps = np.log(n - k[:-1]) - np.log(k[1:])  # of log C(n, k)
    logs = np.concatenate([[0.0], np.cumsum(steps)]) - n * math.log(2)
    return float(min(1.0, 2 * np.exp(logs - logs.max()).sum() * math.exp(logs.max())))
