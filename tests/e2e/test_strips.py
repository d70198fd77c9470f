"""Networks whose widest layers are computed in strips, `--opt ram`: on cores of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.test_int16 import Network, i8
from tests.support import require
from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import random_inputs
from tinydeploy.tflite import writer
from tinydeploy.tflite.schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Padding,
    Pool2DOptions,
)
from tinydeploy.tflite.writer import Option, int8, int32

pytestmark = pytest.mark.toolchain


class _Chain:
    """A network of one layer after the other, of random windows, strides and paddings."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.network = Network(self.rng)
        height, width = (int(n) for n in self.rng.integers(24, 40, 2))
        self.shape: tuple[int, ...] = (1, height, width, int(self.rng.choice([1, 3, 4])))
        self.first = self.last = self.network.tensor(i8(*self.shape))

    def layer(self, op: str, channels: int, *, stride: int = 1) -> None:
        _, height, width, depth = self.shape
        k = 1 if op == "CONV_2D" and self.rng.random() < 0.5 else int(self.rng.integers(2, 5))
        same = bool(self.rng.random() < 0.7)
        out = [-(-n // stride) if same else (n - k) // stride + 1 for n in (height, width)]
        slot: Any = {
            "CONV_2D": Conv2DOptions,
            "DEPTHWISE_CONV_2D": DepthwiseConv2DOptions,
        }.get(op, Pool2DOptions)
        options: dict[int, Option] = {
            slot.PADDING: int8(Padding.SAME if same else Padding.VALID),
            slot.STRIDE_W: int32(stride),
            slot.STRIDE_H: int32(stride),
        }
        self.shape = (1, *out, channels)
        output = i8(*self.shape)
        if slot is Pool2DOptions:
            options |= {slot.FILTER_WIDTH: int32(k), slot.FILTER_HEIGHT: int32(k)}
            self.last = self.network.add(op, [self.last], output, options)
        elif op == "CONV_2D":
            weights = (channels, k, k, depth)
            self.last = self.network.weighted(op, self.last, weights, output, options)
        else:
            options[DepthwiseConv2DOptions.DEPTH_MULTIPLIER] = int32(channels // depth)
            weights = (1, k, k, channels)
            self.last = self.network.weighted(op, self.last, weights, output, options, axis=3)

    def file(self) -> bytes:
        n = self.network
        model = writer.Model(tuple(n.tensors), tuple(n.operators), (self.first,), (self.last,))
        return writer.write(model)


def widest_first(seed: int) -> bytes:
    """A network whose first layers are much larger than what they make in the end."""
    chain = _Chain(seed)
    chain.layer("CONV_2D", 8)
    chain.layer("DEPTHWISE_CONV_2D", 8)
    chain.layer("CONV_2D", 16)
    chain.layer("DEPTHWISE_CONV_2D", 16, stride=2)
    chain.layer("MAX_POOL_2D" if seed % 2 else "AVERAGE_POOL_2D", 16, stride=1 + seed % 3)
    chain.layer("CONV_2D", 8)
    return chain.file()


def _prove(folder: Path, board: str, runner: str, seed: int) -> None:
    model = folder / "wide.tflite"
    model.write_bytes(widest_first(seed))
    request = BuildRequest(
        model=model, board=board, out=folder / "out", optimize="ram", sanitize=board == "host"
    )
    built = pipeline.build(request)
    plan = built.prepared.plan
    (run,) = (call for call in plan.calls if call.parts)
    report, _ = pipeline.prove(
        built, random_inputs(built.prepared.graph, 3), runner=runner, layers=True
    )
    assert report.outcome == "verified", report.verify
    assert all(layer.equal for layer in report.layers if layer.kernel)
    # What lies between the layers of the run is nowhere whole, and nothing says that it was seen.
    inner = {part.call.layer for part in run.parts if part.call} - {run.layer}
    assert inner
    assert not any(layer.kernel or layer.equal for layer in report.layers if layer.index in inner)
    whole = pipeline.prepare(BuildRequest(model=model, board=board, out=folder / "whole"))
    assert plan.arena_bytes < 0.9 * whole.plan.arena_bytes


@pytest.mark.parametrize("seed", range(6))
def test_strips_under_sanitizers(seed: int, tmp_path: Path) -> None:
    require("host-cc", "oracle")
    _prove(tmp_path, "host", "host", seed)


@pytest.mark.parametrize(
    ("board", "runner"),
    [
        ("generic_cortex_m0", "unicorn"),
        ("generic_cortex_m4", "unicorn"),
        pytest.param("mps3_an547", "qemu", marks=pytest.mark.emulator),
    ],
)
def test_strips_on_cores(board: str, runner: str, tmp_path: Path) -> None:
    require(runner, "oracle")
    _prove(tmp_path, board, runner, seed=1)
