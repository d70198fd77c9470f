"""Requantisation with Helium: two instructions give what the specification's two roundings give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydeploy.ops import helium
from tinydeploy.ops.convolution import Requantization

Int64s = NDArray[np.int64]


def vqrdmulh(a: Int64s, b: Int64s) -> Int64s:
    """VQRDMULH.S32, for b >= 0."""
    return (2 * a * b + (1 << 31)) >> 32


def vqrdmlash(a: Int64s, b: Int64s, scalar: int) -> Int64s:
    """VQRDMLASH.S32 without its saturation, which the tests' values do not reach."""
    return ((2 * a * b + (1 << 31)) >> 32) + scalar


def requantization(shift: int, multiplier: int, zero_point: int, low: int) -> Requantization:
    """Of one channel with any accumulator."""
    limit = 2**31
    return Requantization(
        (multiplier,), (shift,), (-limit,), (limit - 1,), 0, zero_point, low, 127
    )  # fmt: skip


def accumulators(multiplier: int, right: int, rng: np.random.Generator) -> Int64s:
    """Any, small ones, and all around those that come out half-way between two outputs."""
    halves = (np.arange(-300, 300) * 2 + 1) << (right - 1)
    near = (halves * 2.0**31 / multiplier).astype(np.int64)[:, np.newaxis] + np.arange(-4, 5)
    anything = rng.integers(-(2**31), 2**31, 1000)
    spread = rng.integers(-(1 << (right + 9)), 1 << (right + 9), 1000)
    small = np.arange(-600, 600)
    extremes = np.array([-(2**31), -(2**31) + 1, 2**31 - 1])
    found = np.concatenate([near.reshape(-1), anything, spread, small, extremes])
    return np.clip(found, -(2**31), 2**31 - 1)


@pytest.mark.parametrize("right", range(1, 32))
@pytest.mark.parametrize(("zero_point", "low"), [(-128, -128), (5, 5), (4, -128), (127, -128)])
def test_two_instructions_round_twice(right: int, zero_point: int, low: int) -> None:
    rng = np.random.default_rng(right)
    random = rng.integers(1 << 30, 1 << 31, 5).tolist()
    for multiplier in (1 << 30, (1 << 30) + 1, (1 << 31) - 1, *random):
        requant = requantization(-right, multiplier, zero_point, low)
        if not helium.applies(requant) or requant.fixed.any():
            continue
        _, rows = helium.requantization(requant, np.zeros(1, np.int64), any_scale=False)
        ((m, scale),) = rows.astype(np.int64).tolist()
        a = accumulators(multiplier, right, rng)
        value = vqrdmlash(vqrdmulh(a, np.int64(m)), np.int64(scale), zero_point)
        got = np.clip(value, low, 127)
        assert (got == requant.apply(a[:, np.newaxis])[:, 0]).all(), (multiplier, right)


def test_what_it_applies_to() -> None:
    """Any shift to the right above a clamp at the zero point, up to 11 bits without one."""
    relu = [right for right in range(32) if helium.applies(requantization(-right, 2**30, 0, 0))]
    plain = [right for right in range(32) if helium.applies(requantization(-right, 2**30, 0, -128))]
    assert relu == list(range(1, 32))
    assert plain[:11] == list(range(1, 12))
    assert all(requantization(-right, 2**30, 0, -128).fixed.all() for right in plain[11:])


@pytest.mark.parametrize("any_scale", [False, True])
def test_fixed_channels_come_out_whatever_comes_in(any_scale: bool) -> None:
    """Their weights are 0, so that their sum is the bias."""
    requant = Requantization((1 << 30,), (-8,), (-50_000,), (-40_000,), 0, 7, -50, 127)
    assert requant.fixed.all()
    bias, rows = helium.requantization(requant, np.zeros(1, np.int64), any_scale=any_scale)
    ((m, scale),) = rows.astype(np.int64).tolist()
    value = vqrdmlash(vqrdmulh(bias.astype(np.int64), np.int64(m)), np.int64(scale), 7)
    assert value.tolist() == [-50]


def test_layouts_fill_fours_and_sixteens() -> None:
    matrix = np.arange(1, 5 * 17 + 1).reshape(5, 17).astype(np.int8)
    packed = helium.weights(matrix).data
    assert packed.shape == (1, 2, 2, 4, 16)
    for channel in range(8):
        row = packed[0, channel // 4, :, channel % 4].reshape(-1)
        expected = matrix[channel] if channel < 5 else np.zeros(17, np.int8)
        assert (row[:17] == expected).all()
        assert not row[17:].any()


def test_weights_of_a_tile_move() -> None:
    taps = np.arange(1, 28, dtype=np.int8).reshape(3, 9)
    memory = helium.tiles(taps).data
    for channel, down, right in np.ndindex(3, 2, 2):
        start = 16 * channel + (5, 1, 4, 0)[2 * down + right]
        tile = memory[start : start + 16].reshape(4, 4)  # column, row
        expected = np.zeros((4, 4), np.int8)
        expected[right : right + 3, down : down + 3] = taps[channel].reshape(3, 3).T
        assert (tile == expected).all(), (channel, down, right)
