"""The analysis of layers points at what int8 spoils, and 16 bits there repair it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.quantize import badly_scaled, floats
from tests.support import require
from tinydeploy.graph import DType
from tinydeploy.quantize.calibrate import observe
from tinydeploy.quantize.compare import yardstick
from tinydeploy.quantize.data import Dataset, from_arrays
from tinydeploy.quantize.floatmodel import FloatModel, prepare
from tinydeploy.quantize.ptq import quantize
from tinydeploy.quantize.schemes import Override, Scheme
from tinydeploy.quantize.sensitivity import Analysis, analyse, debug, decibels, to_dict
from tinydeploy.quantize.statistics import Range
from tinydeploy.tflite import reader


@pytest.fixture(autouse=True)
def _needs_packages() -> None:
    require("ptq", "oracle")


@pytest.fixture(scope="module")
def subject() -> tuple[FloatModel, Dataset, Dataset]:
    require("ptq", "oracle")
    content = badly_scaled.network(spread=12.0, first_only=True)
    data = badly_scaled.data(content, 60)
    return prepare(content, "made up"), data, badly_scaled.data(content, 100, seed=5)


@pytest.fixture(scope="module")
def analysis(subject: tuple[FloatModel, Dataset, Dataset]) -> Analysis:
    model, data, judged = subject
    ranges = observe(model, data).ranges("minmax")
    return analyse(model, ranges, yardstick(model, judged))


def test_the_two_layers_at_the_badly_scaled_activation_come_first(analysis: Analysis) -> None:
    ranked = analysis.ranked()
    assert {x.layer.index for x in ranked[:2]} == {0, 1}
    assert ranked[1].alone.error > 10 * ranked[2].alone.error


def test_layers_that_only_move_values_are_left_out(analysis: Analysis) -> None:
    assert [x.layer.op for x in analysis.layers] == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip


def test_it_says_what_computed_it(analysis: Analysis) -> None:
    names = {s.judge.split()[0] for x in analysis.layers for s in (x.alone, x.all_but)}
    assert names <= {"tflite-micro", "LiteRT"}
    assert analysis.debugger.startswith("tflite-micro")
    assert analysis.whole.judge.startswith("tflite-micro")


def test_accuracy_is_measured_with_labels(analysis: Analysis) -> None:
    assert analysis.whole.correct is not None
    alone = {x.layer.index: x.alone.correct for x in analysis.layers}
    assert alone[2] is not None
    assert alone[0] is not None
    assert alone[2] > alone[0]


def test_inside_shows_the_channel_that_is_lost(analysis: Analysis) -> None:
    first = analysis.layers[0].inside
    assert first is not None
    assert 0.2 < first.rmse_steps < 0.35  # rounding, and no more
    assert first.snr_db > 30
    assert first.worst_snr_db < 6  # a channel smaller than a step


def test_json_is_finite(analysis: Analysis) -> None:
    import json

    text = json.dumps(to_dict(analysis), allow_nan=False)
    assert json.loads(text)["layers"][0]["layer"]["op"] == "CONV_2D"


def test_sixteen_bits_in_those_layers_bring_the_accuracy_back(
    subject: tuple[FloatModel, Dataset, Dataset], analysis: Analysis
) -> None:
    model, data, judged = subject
    ranges, measure = observe(model, data).ranges("minmax"), yardstick(model, judged)
    two = [Override(str(x.layer.index), activations="int16") for x in analysis.ranked()[:2]]
    content = quantize(model, ranges, Scheme(), two)
    score = measure.score("mixed", content)
    assert score.error < analysis.whole.error / 20
    assert score.correct is not None
    assert analysis.whole.correct is not None
    assert score.correct > analysis.whole.correct + 15
    graph = reader.loads(content, "mixed")
    kinds = {graph.tensors[n.outputs[0]].dtype for n in graph.nodes}
    assert kinds == {DType.INT8, DType.INT16}


def test_what_lies_beyond_the_range_is_counted() -> None:
    data = from_arrays(np.linspace(-4, 4, 81, dtype=np.float32).reshape(81, 1))
    model = prepare(floats.dense(np.ones((1, 1)), np.zeros(1)))
    ranges = {"x": Range(-4, 4), "y": Range(-2, 2)}
    content = quantize(model, ranges)
    inputs = [(s.inputs[0].reshape(1, 1),) for s in data]
    _, found = debug(model, content, inputs)
    assert found[0].saturated == pytest.approx(0.5, abs=0.03)
    assert found[0].worst_channel == -1


def test_decibels() -> None:
    assert decibels(100.0, 1.0) == pytest.approx(20)
    assert decibels(1.0, 0.0) == math.inf
