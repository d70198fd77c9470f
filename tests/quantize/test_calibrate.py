"""Calibration: the ranges of each method on data whose answer is known, and what looks wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quantize import floats
from tests.support import require
from tinydeploy.errors import InputError
from tinydeploy.graph import Array
from tinydeploy.quantize.calibrate import calibrate, observe
from tinydeploy.quantize.data import from_arrays
from tinydeploy.quantize.floatmodel import prepare
from tinydeploy.quantize.ranges import unified
from tinydeploy.quantize.statistics import (
    METHODS,
    Range,
    TensorStatistics,
    method_of,
)
from tinydeploy.quantize.suspicions import suspicions


def seen(*samples: Array) -> TensorStatistics:
    statistics = TensorStatistics()
    for sample in samples:
        statistics.add(np.asarray(sample, np.float32))
    return statistics


def squared_error(values: Array, range_: Range, bits: int = 8) -> float:
    """Of quantising `values` to the range, by doing it."""
    scale = range_.width / ((1 << bits) - 1)
    zero = np.rint(-min(range_.min, 0) / scale)
    steps = np.clip(np.rint(values / scale) + zero, 0, (1 << bits) - 1)
    return float(((steps - zero) * scale - values).__pow__(2).mean())


# ---- The histogram ----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), min_size=1, max_size=8
    )
)
def test_no_value_is_lost_however_the_range_grows(samples: Sequence[Sequence[float]]) -> None:
    statistics = seen(*(np.array(s, np.float32) for s in samples))
    values = np.concatenate([np.array(s, np.float32) for s in samples])
    assert statistics.count == values.size
    assert statistics.zeros + statistics.bins.sum() == values.size
    assert (statistics.min, statistics.max) == (values.min(), values.max())
    width = 2 * statistics.limit / len(statistics.bins)
    for share in (0.1, 0.5, 0.9):
        below = np.sort(values)[min(int(share * values.size), values.size - 1)]
        under = (values < statistics.quantile(share) - width).mean()
        over = (values > statistics.quantile(share) + width).mean()
        assert under <= share + 1e-9, below
        assert over <= 1 - share + 1e-9, below


def test_memory_does_not_grow_with_the_data() -> None:
    statistics = seen(floats.noise(10))
    before = statistics.bins.nbytes
    for seed in range(50):
        statistics.add(floats.noise(1000, seed=seed) * np.float32(2**seed))
    assert statistics.bins.nbytes == before


def test_the_order_of_samples_changes_no_bin() -> None:
    samples = [floats.noise(100, seed=s) * 3.0**s for s in range(6)]
    forth, back = seen(*samples), seen(*reversed(samples))
    assert forth.limit == back.limit
    # A value on a bin's edge may fall on either side when bins have merged.
    assert np.abs(np.cumsum(forth.bins) - np.cumsum(back.bins)).max() <= 1


# ---- The methods ------------------------------------------------------------------------------


def test_min_max_and_moving_average() -> None:
    statistics = seen([-1.0, 2.0], [-1.0, 4.0], [-3.0, 2.0])
    assert METHODS["minmax"](statistics, 8) == Range(-3.0, 4.0)
    average = METHODS["moving-average"](statistics, 8)
    assert average.min == pytest.approx(-1.1)
    assert average.max == pytest.approx((2 * 0.95 + 4 * 0.05) * 0.95 + 2 * 0.05)


def test_percentile_cuts_off_outliers_on_both_sides() -> None:
    values = np.linspace(-1, 1, 100_000).astype(np.float32)
    statistics = seen(np.concatenate([values, [50.0, -70.0]]))
    cut = method_of("percentile:99.9")(statistics, 8)
    assert cut.max == pytest.approx(1, abs=0.05)
    assert cut.min == pytest.approx(-1, abs=0.05)
    assert method_of("percentile:100")(statistics, 8) == Range(-70.0, 50.0)


@pytest.mark.parametrize("kind", ["normal", "laplace", "relu", "outlier", "narrow"])
def test_mse_is_at_least_as_good_as_any_share_of_the_range(kind: str) -> None:
    values = floats.noise(20_000)
    if kind == "laplace":
        values = np.sign(values) * values**2
    if kind == "relu":
        values = np.maximum(values, 0)
    if kind == "outlier":
        values[:5] = 100
    if kind == "narrow":
        values = values * 1e-4 + 7
    found = METHODS["mse"](seen(values), 8)
    best = min(
        squared_error(values, Range(float(values.min()) * a, float(values.max()) * a))
        for a in np.linspace(0.05, 1, 60)
    )
    assert squared_error(values, found) <= best * 1.1


def test_kl_keeps_the_bulk_and_drops_the_outlier() -> None:
    values = floats.noise(50_000)
    values[0] = 200
    found = METHODS["kl"](seen(values), 8)
    assert 2 < found.max < 20
    assert found.min >= -20


@pytest.mark.parametrize("method", METHODS)
def test_every_method_survives_constants_and_zeros(method: str) -> None:
    for sample in ([0.0, 0.0], [3.0, 3.0], [-2.5], [1e-30, 0.0], [1e30, -1e30]):
        found = METHODS[method](seen(np.array(sample)), 8)
        assert np.isfinite([found.min, found.max]).all()
        assert found.min <= found.max
        assert found.min >= min([*sample, 0.0]) * (1 + 1e-6)
        assert found.max <= max([*sample, 0.0]) * (1 + 1e-6)


def test_sixteen_bits_are_not_clipped() -> None:
    statistics = seen(floats.noise(1000))
    assert METHODS["kl"](statistics, 16) == statistics.full
    wide = METHODS["mse"](statistics, 16)
    assert wide.max == pytest.approx(statistics.max, rel=0.02)


@pytest.mark.parametrize("name", ["entropy", "percentile:200", "percentile:x", "mse:3", ""])
def test_unknown_methods(name: str) -> None:
    with pytest.raises(InputError, match="is no calibration method"):
        method_of(name)


# ---- Models -----------------------------------------------------------------------------------


def test_the_ranges_are_those_of_the_activations() -> None:
    require("ptq")
    weight, bias = floats.noise(4, 8), floats.noise(4)
    values = floats.noise(40, 8, seed=3)
    found = calibrate(floats.dense(weight, bias), from_arrays(values))
    answers = values @ weight.T + bias
    assert found["y"].min == pytest.approx(float(answers.min()), rel=1e-5)
    assert found["y"].max == pytest.approx(float(answers.max()), rel=1e-5)
    assert set(found) == {"x", "y"}


def test_what_shares_a_scale_has_one_range() -> None:
    require("ptq")
    model = floats.digits()
    ranges = unified(model, observe(model, floats.digits_data()).ranges("percentile"), {})
    for layer in model.layers:
        if layer.op in ("RESHAPE", "MAX_POOL_2D", "AVERAGE_POOL_2D"):
            assert ranges[layer.name] == ranges[layer.inputs[0]]
    assert ranges[model.outputs[0]] == Range(0, 1)


def test_less_data_is_kept_for_comparison() -> None:
    require("ptq")
    statistics = observe(
        prepare(floats.dense(floats.noise(4, 8), None)), from_arrays(floats.noise(80, 8))
    )
    assert [s.samples for s in statistics.earlier] == [10, 20, 40]
    widths = [s.tensors["x"].full.width for s in (*statistics.earlier, statistics)]
    assert widths == sorted(widths)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (floats.noise(5, 9), r"\[9\], the model's input 'x' is \[1, 8\]"),
        (np.full((3, 8), np.nan, np.float32), "hold.* no numbers|NaN"),
        (np.full((3, 8), 3e38, np.float32), "layer 0 FULLY_CONNECTED .* no numbers for sample 0"),
    ],
)
def test_bad_data(values: Array, message: str) -> None:
    require("ptq")
    with pytest.raises(InputError, match=message):
        calibrate(floats.dense(floats.noise(4, 8) * 9, None), from_arrays(values))


def suspected(content: bytes, values: Array) -> str:
    require("ptq")
    model = prepare(content, "m.tflite")
    return "\n".join(suspicions(model, observe(model, from_arrays(values))))


def test_good_data_raise_no_suspicion() -> None:
    require("ptq")
    assert suspicions(floats.digits(), observe(floats.digits(), floats.digits_data())) == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((40, 8), np.float32), "holds 1 everywhere"),
        (np.tile(floats.noise(1, 8), (40, 1)), "every sample is the same"),
        (np.repeat(floats.noise(40, 1), 8, axis=1), "one value only in 40 of 40 samples"),
        (floats.noise(40, 8) * np.arange(8), "1 of 8 channels"),
        (np.rint(np.abs(floats.noise(40, 8)) * 50).clip(0, 255), "pixels"),
        (floats.noise(5, 8), "only 5 samples"),
    ],
)
def test_odd_data_are_told(values: Array, message: str) -> None:
    assert message in suspected(floats.dense(floats.noise(4, 8), None), values.astype(np.float32))


def test_pixels_where_the_model_saw_fractions() -> None:
    require("ptq")
    with np.load(floats.DIGITS / "digits_calibration.npz") as arrays:
        images = np.rint(arrays["image"][:60] * 255)
    model = floats.digits()
    told = "\n".join(suspicions(model, observe(model, from_arrays(images))))
    assert "not normalised" in told
    assert "absolutely certain" in told


def test_values_far_outside_and_layers_that_never_change() -> None:
    weight = floats.noise(4, 8)
    values = floats.noise(400, 8)
    values[5] *= 500
    assert "far outside all others" in suspected(floats.dense(weight, None), values)
    dead = floats.dense(weight * 0, None)
    assert "one value for all samples" in suspected(dead, floats.noise(40, 8))
