"""What is kept of a tensor's values while samples stream by: always the same few kilobytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from ..graph import Array

_BINS = 8192
# How much of the past each sample leaves in the moving averages of minimum and maximum.
_MOMENTUM = 0.95
_CHANNELS = 4096
DEFAULT_PERCENTILE = 99.99
_KL_STEPS = 64
_MSE_STEPS = 160


@dataclass(frozen=True)
class Range:
    """The real numbers that a tensor's quantised values reach from end to end.

    Attributes:
        min, max: 0 is always inside when it is used: zero padding has to be exact.
    """

    min: float
    max: float

    @property
    def width(self) -> float:
        return max(self.max, 0.0) - min(self.min, 0.0)

    def hull(self, other: Range) -> Range:
        return Range(min(self.min, other.min), max(self.max, other.max))

    @classmethod
    def of_scale(cls, scale: float, zero_point: int, bits: int) -> Range:
        """The range that quantises to just this scale and zero point."""
        high = (1 << (bits - 1)) - 1
        low = -high if bits == 16 else -high - 1
        exact = float(np.float32(scale))
        return cls((low - zero_point) * exact, (high - zero_point) * exact)


@dataclass
class TensorStatistics:
    """The values of one tensor over all samples so far.

    The histogram spans [-limit, limit]; when a value lies outside, the limit doubles and
    neighbouring bins merge, so that no second pass over the data is needed.

    Attributes:
        count, zeros: How many values, and how many of them were exactly 0.
        min, max: Over all values.
        average_min, average_max: Moving averages of each sample's own.
        limit: Half of the histogram's span; 0 while every value was 0.
        bins: How many values other than 0 lie in each bin.
        channel_min, channel_max: Along the last axis; empty for wider tensors than 4096.
        whole: Whether every value is a whole number.
        flat_samples: How many samples held one value only.
    """

    count: int = 0
    zeros: int = 0
    min: float = np.inf
    max: float = -np.inf
    average_min: float = 0.0
    average_max: float = 0.0
    limit: float = 0.0
    bins: Array = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    channel_min: Array = field(default_factory=lambda: np.empty(0, np.float32))
    channel_max: Array = field(default_factory=lambda: np.empty(0, np.float32))
    whole: bool = True
    flat_samples: int = 0

    def add(self, values: Array) -> None:
        """Takes in one sample's values: finite float32 of any shape."""
        low, high = float(values.min()), float(values.max())
        if self.count:
            self.average_min += (1 - _MOMENTUM) * (low - self.average_min)
            self.average_max += (1 - _MOMENTUM) * (high - self.average_max)
        else:
            self.average_min, self.average_max = low, high
        self.min, self.max = min(self.min, low), max(self.max, high)
        self.count += values.size
        self.flat_samples += low == high and values.size > 1
        if self.whole:
            self.whole = bool((values == np.rint(values)).all())
        self._add_channels(values)
        nonzero = values[values != 0]
        self.zeros += values.size - nonzero.size
        if nonzero.size:
            self._make_room(max(abs(low), abs(high)))
            place = (nonzero.astype(np.float64) / self.limit + 1) * (_BINS / 2)
            index = np.minimum(place.astype(np.int64), _BINS - 1)
            self.bins += np.bincount(index, minlength=_BINS)

    def _add_channels(self, values: Array) -> None:
        channels = values.shape[-1] if values.ndim > 1 else 1
        if channels > _CHANNELS:
            return
        flat = values.reshape(-1, channels)
        low, high = flat.min(axis=0), flat.max(axis=0)
        if self.channel_min.size:
            low, high = np.minimum(low, self.channel_min), np.maximum(high, self.channel_max)
        self.channel_min, self.channel_max = low, high

    def _make_room(self, largest: float) -> None:
        if not self.limit:
            # A power of two, so that the order of samples changes no bin.
            self.limit = float(2.0 ** np.ceil(np.log2(largest)))
        while largest > self.limit:
            merged = self.bins.reshape(-1, 2).sum(axis=1)
            self.bins = np.zeros(_BINS, np.int64)
            self.bins[_BINS // 4 : _BINS // 4 * 3] = merged
            self.limit *= 2

    def copy(self) -> TensorStatistics:
        return TensorStatistics(**{**self.__dict__, "bins": self.bins.copy()})

    @property
    def edges(self) -> Array:
        """The bins' edges, one more than bins: float64."""
        return np.linspace(-self.limit, self.limit, _BINS + 1)

    @property
    def full(self) -> Range:
        return Range(self.min, self.max)

    def quantile(self, share: float) -> float:
        """The value that a `share` of all values (0 to 1) lies below, to a bin's width."""
        bins = self.bins.astype(np.float64)
        bins[_BINS // 2] += self.zeros
        below = np.searchsorted(np.cumsum(bins), share * self.count)
        edges = self.edges
        edge = edges[min(int(below) + (share > 0.5), _BINS)]
        return float(np.clip(edge, self.min, self.max))


@dataclass(frozen=True, eq=False)
class Statistics:
    """Every float tensor's statistics after a calibration run.

    Attributes:
        samples: How many were seen.
        tensors: By name.
        varied: Whether any sample differs from the first one.
        earlier: The same after fewer samples, fewest first: what more data changed.
    """

    samples: int
    tensors: Mapping[str, TensorStatistics]
    varied: bool = True
    earlier: tuple[Statistics, ...] = ()

    def ranges(self, method: str, bits: Mapping[str, int] | int = 8) -> Mapping[str, Range]:
        """Each tensor's range by `method`.

        Args:
            method: A key of `METHODS`, or "percentile:99.9".
            bits: Of the quantised values; by tensor, or of all.
        """
        choose = method_of(method)
        return MappingProxyType(
            {
                name: choose(s, bits if isinstance(bits, int) else bits.get(name, 8))
                for name, s in self.tensors.items()
            }
        )


# ---- The methods ----------------------------------------------------------------------------

Method = Callable[[TensorStatistics, int], Range]


def min_max(s: TensorStatistics, _bits: int) -> Range:
    """All that was seen."""
    return s.full


def moving_average(s: TensorStatistics, _bits: int) -> Range:
    """The moving averages of each sample's minimum and maximum."""
    return Range(s.average_min, s.average_max)


def percentile(s: TensorStatistics, _bits: int, share: float = DEFAULT_PERCENTILE) -> Range:
    """All but the outermost values: `share` percent lie below the maximum, above the minimum."""
    if not s.limit:
        return s.full
    low = 0.0 if s.min >= 0 else min(s.quantile(1 - share / 100), 0.0)
    high = 0.0 if s.max <= 0 else max(s.quantile(share / 100), 0.0)
    return Range(low, high)


def least_squares(s: TensorStatistics, bits: int) -> Range:
    """The range with the least mean squared error: of rounding inside, of clipping outside.

    Rounding is taken as noise of a twelfth of a squared step, for all values but 0.
    """
    if not s.limit:
        return s.full
    edges = s.edges
    centres = (edges[:-1] + edges[1:]) / 2
    counts = s.bins.astype(np.float64)
    moments = [np.concatenate([[0.0], np.cumsum(counts * centres**power)]) for power in range(3)]

    def clipped(bounds: Array, which: Array, above: bool) -> Array:
        n, first, second = (m[-1] - m[which] if above else m[which] for m in moments)
        error: Array = second - 2 * bounds * first + bounds**2 * n
        return np.maximum(error, 0)

    half = _BINS // 2
    highs = _candidates(s.max, s.limit)
    lows = -_candidates(-s.min, s.limit)
    at_high = np.clip(np.ceil((highs / s.limit + 1) * half).astype(int), half, _BINS)
    at_low = np.clip(np.floor((lows / s.limit + 1) * half).astype(int), 0, half)
    outside = (
        clipped(highs, at_high, above=True)[None, :] + clipped(lows, at_low, above=False)[:, None]
    )
    inside = moments[0][at_high][None, :] - moments[0][at_low][:, None]
    step = (highs[None, :] - lows[:, None]) / ((1 << bits) - 1)
    row, column = np.unravel_index(np.argmin(outside + inside * step**2 / 12), outside.shape)
    return Range(float(lows[row]), float(highs[column]))


def _candidates(end: float, limit: float) -> Array:
    """Where a range may end on one side: the full extent and less, no finer than the bins."""
    if end <= 0:
        return np.zeros(1)
    steps = min(_MSE_STEPS, max(2, int(end / limit * _BINS / 2)))
    return end * np.linspace(1, 1 / steps, steps)


def divergence(s: TensorStatistics, bits: int) -> Range:
    """The clipping threshold whose quantised histogram tells the most of the real one.

    Source:
        Migacz, 8-bit Inference with TensorRT, GTC 2017. Exact zeros are left out: they are
        exact in every range.
    """
    if not s.limit or bits > 8:  # at 16 bits there is nothing to win by clipping
        return s.full
    edges = s.edges
    centres = (edges[:-1] + edges[1:]) / 2
    largest = max(abs(s.min), abs(s.max))
    levels = (1 << bits) - 1
    # Fewer bins than levels would say nothing.
    smallest = max(levels * 2 * s.limit / _BINS, largest / _KL_STEPS)
    best, chosen = np.inf, s.full
    for threshold in np.linspace(largest, min(smallest, largest), _KL_STEPS):
        low, high = max(min(s.min, 0.0), -float(threshold)), min(max(s.max, 0.0), float(threshold))
        inside = (centres >= low) & (centres <= high)
        if not s.bins[inside].any():
            break
        loss = _divergence(s.bins, inside, (centres - low) * (levels / (high - low)))
        if loss < best:
            best, chosen = loss, Range(low, high)
    return chosen


def _divergence(bins: Array, inside: Array, place: Array) -> float:
    """Kullback-Leibler divergence of the clipped histogram from its quantised form."""
    first, last = np.flatnonzero(inside)[[0, -1]]
    kept = bins[first : last + 1].astype(np.float64)
    real = kept.copy()
    real[0] += bins[:first].sum()
    real[-1] += bins[last + 1 :].sum()
    level = np.rint(place[first : last + 1]).astype(int)
    held = kept > 0
    total = np.bincount(level, kept)
    width = np.bincount(level, held)
    coarse = np.where(held, (total / np.maximum(width, 1))[level], 0.0)
    p, q = real / real.sum(), coarse / coarse.sum()
    where = p > 0
    return float((p[where] * np.log(p[where] / np.maximum(q[where], 1e-9))).sum())


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "minmax": min_max,
        "moving-average": moving_average,
        "percentile": percentile,
        "mse": least_squares,
        "kl": divergence,
    }
)


def method_of(name: str) -> Method:
    """The method of that name; "percentile:99.9" sets the percentage.

    Raises:
        InputError: There is none.
    """
    from ..errors import InputError

    key, _, number = name.partition(":")
    if key in METHODS and not number:
        return METHODS[key]
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if key != "percentile" or not 50 < share <= 100:
        raise InputError(
            f"{name!r} is no calibration method", f"--calibration {' | '.join(METHODS)} | all"
        )
    return lambda s, bits: percentile(s, bits, share)
