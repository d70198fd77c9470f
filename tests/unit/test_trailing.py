"""Outputs written over inputs: no byte goes before it is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydeploy.ops.convolution import Axis
from tinydeploy.ops.trailing import by_steps, distance_bytes


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    size, kernel = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    reach = (kernel - 1) * dilation + 1
    if draw(st.booleans()) and size >= reach:
        return Axis(size, (size - reach) // stride + 1, kernel, stride, dilation, 0)
    out = -(-size // stride)
    return Axis(size, out, kernel, stride, dilation, max(0, (out - 1) * stride + reach - size) // 2)


def _taps(axis: Axis, out: int) -> list[int]:
    places = (out * axis.stride - axis.pad + k * axis.dilation for k in range(axis.kernel))
    return [place for place in places if 0 <= place < axis.size]


def _survives(
    h: Axis, w: Axis, channels: tuple[int, int], step: int, distance: int, *, copies: bool
) -> bool:
    """Whether every step finds the input that it reads, with the output so far below it."""
    pixels = h.out * w.out
    written = np.zeros(distance + max(h.size * w.size * channels[0], pixels * channels[1]), bool)
    for first, end in by_steps(pixels, step, again=step > 1):
        if not copies:
            written[first * channels[1] : end * channels[1]] = True
        for pixel in range(first, end):
            for y in _taps(h, pixel // w.out):
                for x in _taps(w, pixel % w.out):
                    at = distance + (y * w.size + x) * channels[0]
                    if written[at : at + channels[0]].any():
                        return False
        written[first * channels[1] : end * channels[1]] = True
    return True


@given(axes(), axes(), st.tuples(st.integers(1, 5), st.integers(1, 5)), st.sampled_from((1, 2, 4)))
@settings(max_examples=300, deadline=None)
def test_nothing_is_written_over_that_is_still_to_be_read(
    h: Axis, w: Axis, channels: tuple[int, int], step: int
) -> None:
    steps = by_steps(h.out * w.out, step, again=step > 1)
    distance = distance_bytes(h, w, channels, steps, copies=step > 1)
    for more in (0, 1, 7):
        assert _survives(h, w, channels, step, distance + more, copies=step > 1)
    if distance:
        assert not _survives(h, w, channels, step, distance - 1, copies=step > 1)


def test_a_layer_of_1x1_needs_no_distance() -> None:
    h, w = (Axis(size, size, kernel=1, stride=1, dilation=1, pad=0) for size in (6, 4))
    steps = by_steps(24, 4, again=True)
    assert distance_bytes(h, w, (8, 8), steps, copies=True) == 0
    # Twice the channels: the last four pixels are written over the first ones of the input.
    assert distance_bytes(h, w, (8, 16), steps, copies=True) == 20 * 8


def test_steps_cover_every_pixel() -> None:
    for pixels in range(1, 12):
        for again in (False, True):
            steps = by_steps(pixels, 4, again=again)
            covered = {i for first, end in steps for i in range(first, end)}
            assert covered == set(range(pixels))
